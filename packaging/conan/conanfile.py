# SPDX-License-Identifier: BSL-1.0
# `conan create packaging/conan` packages the checkout that this recipe lies in.
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy

required_conan_version = ">=2.0"


class TaskpeekRecipe(ConanFile):
    name = "taskpeek"
    version = "0.1.0"
    license = "BSL-1.0"
    description = "Linux processes, threads and their kernel files: header-only C++20"
    topics = ("linux", "procfs", "processes", "threads", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def requirements(self):
        self.requires("boost/[>=1.74 <2]", options={"header_only": True}, transitive_headers=True)
        self.requires("range-v3/[>=0.12 <1]", transitive_headers=True)

    def export_sources(self):
        checkout = os.path.join(self.recipe_folder, os.pardir, os.pardir)
        copy(self, "*.hpp", os.path.join(checkout, "include"), os.path.join(self.export_sources_folder, "include"))
        copy(self, "LICENSE", checkout, self.export_sources_folder)

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("taskpeek asks the Linux kernel")
        check_min_cppstd(self, 20)

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_target_name", "taskpeek::taskpeek")
        self.cpp_info.requires = ["boost::headers", "range-v3::range-v3"]
