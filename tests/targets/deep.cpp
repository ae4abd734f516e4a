// SPDX-License-Identifier: BSL-1.0
// What the stack tests look at: `deep THREADS [KIND]` starts so many threads, each some 20 calls deep, half of them in a shared
// library, and then blocked in one of 16 kinds of system call. Prints "ready" once they are, and a line for each that ended early.
// With a third argument the first thread spins on the clock; a `?` on standard input asks how long it was held up at most.

#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern "C" long deep_through_library(int left, int kind, long (*next)(int, int));

namespace {

constexpr int kinds = 16;
constexpr int spinning = 16; ///< on the clock, in no system call

pthread_mutex_t never_unlocked = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t for_condition = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t never_signalled = PTHREAD_COND_INITIALIZER;
int pipe_ends[2];
int full_pipe[2];
int sockets[2];
int semaphores;
int messages;
volatile int sink;
int arrived; // threads on their way into the system call

/// The longest time that the spinning thread was held up, in ns, but for its waits for a CPU.
volatile long longest_pause;

long now()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

/// How long this thread has waited for a CPU (Documentation/scheduler/sched-stats.rst), by the open file `schedstat`.
long waited_for_cpu(int schedstat)
{
    char text[80]{};
    long ran = 0, waited = 0;
    if (pread(schedstat, text, sizeof text - 1, 0) > 0) sscanf(text, "%ld %ld", &ran, &waited);
    return waited;
}

[[noreturn, gnu::noinline]] void spin() // or `block` saved more registers than it does for the calls that matter
{
    int const schedstat = open("/proc/thread-self/schedstat", O_RDONLY);
    long waited = waited_for_cpu(schedstat);
    for (long last = now();;) {
        auto const here = now();
        if (here - last > 20'000) {
            auto const waits = waited_for_cpu(schedstat);
            auto const pause = here - last - (waits - waited);
            waited = waits;
            if (pause > longest_pause) longest_pause = pause;
            last = now();
        } else {
            last = here;
        }
    }
}

/// Blocks in one kind of system call. \return what it gave, should it ever return; errno is kept.
[[gnu::noinline]] long block(int kind)
{
    char byte = 0;
    timespec const long_time{10000, 0};
    switch (kind) {
    case 0: return nanosleep(&long_time, nullptr);
    case 1: return read(pipe_ends[0], &byte, 1);
    case 2: { pollfd p{pipe_ends[0], POLLIN, 0}; return poll(&p, 1, -1); }
    case 3: { fd_set set; FD_ZERO(&set); FD_SET(pipe_ends[0], &set); return select(pipe_ends[0] + 1, &set, nullptr, nullptr, nullptr); }
    case 4: { int const e = epoll_create1(0); epoll_event ev{}; return epoll_wait(e, &ev, 1, -1); }
    case 5: return pthread_mutex_lock(&never_unlocked);
    case 6: pthread_mutex_lock(&for_condition); return pthread_cond_wait(&never_signalled, &for_condition);
    case 7: return recv(sockets[0], &byte, 1, 0);
    case 8: { sembuf op{0, -1, 0}; return semop(semaphores, &op, 1); }
    case 9: { struct { long type; char text[8]; } m; return msgrcv(messages, &m, sizeof m.text, 7, 0); }
    case 10: { sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR2); return sigtimedwait(&set, nullptr, &long_time); }
    case 11: return pause();
    case 12: { int const t = timerfd_create(CLOCK_MONOTONIC, 0); char eight[8]; return read(t, eight, 8); }
    case 13: { int const e = eventfd(0, 0); char eight[8]; return read(e, eight, 8); }
    case 14: { int const i = inotify_init1(0); char some[64]; return read(i, some, sizeof some); }
    case spinning: spin();
    default: { sem_t s; sem_init(&s, 0, 0); return sem_wait(&s); }
    }
}

[[gnu::noinline]] long deep_in_program(int left, int kind)
{
#if defined TASKPEEK_WITH_VLA
    char volatile room[16 + 8 * (left % 5 + 5)];
    room[0] = static_cast<char>(left);
#elif defined TASKPEEK_WITH_ALLOCA
    char volatile* room = static_cast<char*>(alloca(static_cast<size_t>(16 + 8 * (left % 5))));
    room[0] = static_cast<char>(left);
#else
    char volatile room[16];
    room[0] = static_cast<char>(left);
#endif
    long result;
    if (left <= 0) {
        __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
        result = block(kind);
        printf("thread %d of kind %d came back: %ld, %s\n", static_cast<int>(syscall(SYS_gettid)), kind, result, strerror(errno));
        fflush(stdout);
    } else {
        result = deep_through_library(left - 1, kind, deep_in_program);
    }
    sink = room[0];
    return result + 1;
}

void* thread_main(void* kind)
{
    char name[16];
    auto const k = static_cast<int>(reinterpret_cast<long>(kind));
    snprintf(name, sizeof name, "kind-%d", k);
    pthread_setname_np(pthread_self(), name);
    return reinterpret_cast<void*>(deep_in_program(15, k));
}

} // namespace

/// Answers questions until the test closes our input; then the program ends.
void* listen(void*)
{
    char word;
    for (ssize_t got; (got = read(0, &word, 1)) != 0;) {
        if (got < 0 && errno != EINTR) break;
        if (got < 1 || word != '?') continue;
        printf("longest pause %ld\n", longest_pause);
        fflush(stdout);
        longest_pause = 0;
    }
    semctl(semaphores, 0, IPC_RMID);
    msgctl(messages, IPC_RMID, nullptr);
    _exit(0);
}

int main(int argc, char** argv)
{
    int const threads = argc > 1 ? atoi(argv[1]) : 100;
    int const only = argc > 2 ? atoi(argv[2]) : -1;
    alarm(300); // should the test be killed
    if (pipe(pipe_ends) != 0 || pipe(full_pipe) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) return 1;
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    messages = msgget(IPC_PRIVATE, 0600);
    pthread_mutex_lock(&never_unlocked);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    for (int i = 0; i < threads; ++i) {
        pthread_t t;
        auto const kind = static_cast<long>(only >= 0 ? only : i % kinds);
        if (pthread_create(&t, &attributes, thread_main, reinterpret_cast<void*>(kind)) != 0) return 1;
    }
    // One that has not run yet is where clone(2) returns to, which C libraries do not describe.
    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < threads) usleep(1000);
    usleep(100000); // until all are blocked; the tests check
    auto const say_ready = [] { puts("ready"); fflush(stdout); };
    if (argc > 3) {
        pthread_t listening;
        if (pthread_create(&listening, nullptr, listen, nullptr) != 0) return 1;
        say_ready();
        return static_cast<int>(deep_in_program(15, spinning));
    }
    say_ready();
    listen(nullptr);
}
