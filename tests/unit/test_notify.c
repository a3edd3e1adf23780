/* test_notify.c - what a real socket hears, by path and abstract, and which sockets are taken. */
#include "serve/notify.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A socket of systemd's kind; `name` as NOTIFY_SOCKET has it. */
static int listener(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static const char *heard(int fd)
{
    static char text[2048];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void check_words(int fd)
{
    char long_text[2000];
    ew_notify_ready();
    assert_string_equal(heard(fd), "READY=1");
    ew_notify_stopping();
    assert_string_equal(heard(fd), "STOPPING=1");
    ew_notify_watchdog();
    assert_string_equal(heard(fd), "WATCHDOG=1");
    ew_notify_status("%d run,\nREADY=1", 3);
    assert_string_equal(heard(fd), "STATUS=3 run, READY=1");
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    ew_notify_status("%s", long_text);
    assert_int_equal(strlen(heard(fd)), EW_NOTIFY_STATUS_MAX - 1);
    uint64_t before_us = ew_clock_now_ns(&ew_clock_real) / 1000;
    ew_notify_reloading();
    const char *text = heard(fd), start[] = "RELOADING=1\nMONOTONIC_USEC=";
    assert_memory_equal(text, start, sizeof start - 1);
    uint64_t at_us = strtoull(text + sizeof start - 1, NULL, 10);
    assert_in_range(at_us, before_us, ew_clock_now_ns(&ew_clock_real) / 1000);
}

static void test_a_socket_with_a_path_hears_every_word(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_notify-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    int fd = listener(path);
    check_words(fd);
    close(fd);
    unlink(path);
    rmdir(folder);
    ew_notify_ready(); /* nobody there any more: nothing happens */
}

static void test_an_abstract_socket_does_too(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@edgewise-test-%d", (int)getpid());
    int fd = listener(name);
    check_words(fd);
    close(fd);
}

static void test_without_a_socket_nothing_happens(void **state)
{
    (void)state;
    static const char *const names[] = {"", "relative", "/", "@"};
    char long_name[300] = "/";
    memset(long_name + 1, 'a', sizeof long_name - 2);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i < EW_COUNT(names); i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        ew_notify_ready();
    }
    setenv("NOTIFY_SOCKET", long_name, 1);
    ew_notify_ready();
    unsetenv("NOTIFY_SOCKET");
    ew_notify_ready();
}

static void test_the_watchdog_is_fed_twice_in_its_time(void **state)
{
    (void)state;
    char pid[32];
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_true(ew_notify_watchdog_s() == 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_true(ew_notify_watchdog_s() == 15);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_true(ew_notify_watchdog_s() == 15);
    setenv("WATCHDOG_PID", "1", 1); /* meant for somebody else */
    assert_true(ew_notify_watchdog_s() == 0);
    unsetenv("WATCHDOG_PID");
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_true(ew_notify_watchdog_s() == 0);
    unsetenv("WATCHDOG_USEC");
}

enum { NOTHING_THERE, PLAIN_SOCKET, LISTENING };

/* What a child that was started so takes; its exit status carries the answer. */
static int taken(int what, const char *fds, int pid_is_ours)
{
    pid_t child = fork();
    if (child == 0) {
        char pid[32];
        close(EW_NOTIFY_FD_FIRST);
        int fd = what == NOTHING_THERE ? -1 : socket(AF_INET, SOCK_STREAM, 0);
        if (what == LISTENING && listen(fd, 1))
            _exit(99);
        if (fd >= 0)
            dup2(fd, EW_NOTIFY_FD_FIRST);
        snprintf(pid, sizeof pid, "%d", pid_is_ours ? (int)getpid() : 1);
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", fds, 1);
        int got = ew_notify_listen_fd();
        _exit(getenv("LISTEN_FDS") ? 98 : got < 0 ? 0 : got);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_only_a_listening_socket_meant_for_us_is_taken(void **state)
{
    (void)state;
    assert_int_equal(taken(LISTENING, "1", 1), EW_NOTIFY_FD_FIRST);
    assert_int_equal(taken(LISTENING, "2", 1), EW_NOTIFY_FD_FIRST);
    assert_int_equal(taken(LISTENING, "1", 0), 0);
    assert_int_equal(taken(LISTENING, "0", 1), 0);
    assert_int_equal(taken(LISTENING, "many", 1), 0);
    assert_int_equal(taken(PLAIN_SOCKET, "1", 1), 0);
    assert_int_equal(taken(NOTHING_THERE, "1", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_with_a_path_hears_every_word),
        cmocka_unit_test(test_an_abstract_socket_does_too),
        cmocka_unit_test(test_without_a_socket_nothing_happens),
        cmocka_unit_test(test_the_watchdog_is_fed_twice_in_its_time),
        cmocka_unit_test(test_only_a_listening_socket_meant_for_us_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
