# SPDX-License-Identifier: BSL-1.0
# An overlay port: `vcpkg install taskpeek --overlay-ports=packaging/vcpkg/ports` packages the checkout that it lies in.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

set(VCPKG_BUILD_TYPE release) # headers only
vcpkg_configure_meson(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS -Dtests=disabled -Dexamples=disabled -Dbenchmarks=disabled)
vcpkg_install_meson()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/taskpeek)
vcpkg_fixup_pkgconfig()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
