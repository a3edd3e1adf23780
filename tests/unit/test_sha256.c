/* test_sha256.c - known digests (FIPS 180-4 examples), files, and cancelling. */
#include "net/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const struct {
    const char *text, *hex;
} known[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void bytes_give_the_published_digests(void **state)
{
    (void)state;
    for (size_t i = 0; i < EW_COUNT(known); i++) {
        char hex[EW_SHA256_HEX];
        assert_int_equal(ew_sha256_bytes(known[i].text, strlen(known[i].text), hex, NULL), 0);
        assert_string_equal(hex, known[i].hex);
    }
}

static int stop(void *user, uint64_t done, uint64_t total)
{
    *(uint64_t *)user = total;
    return done > 0;
}

static void a_file_gives_the_digest_of_its_bytes_and_can_be_cancelled(void **state)
{
    (void)state;
    char path[] = "/tmp/sha256XXXXXX", hex[EW_SHA256_HEX];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (int i = 0; i < 1000; i++) /* one million times "a", as in FIPS 180-4 */
        for (int j = 0; j < 10; j++)
            assert_int_equal(write(fd,
                                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                   100),
                             100);
    close(fd);
    assert_int_equal(ew_sha256_file(path, hex, NULL, NULL, NULL), 0);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    uint64_t total = 0;
    assert_int_equal(ew_sha256_file(path, hex, stop, &total, NULL), EW_ECANCELED);
    assert_int_equal(total, 1000000);
    unlink(path);
    struct ew_err err = {0};
    assert_int_equal(ew_sha256_file(path, hex, NULL, NULL, &err), EW_EIO);
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_give_the_published_digests),
        cmocka_unit_test(a_file_gives_the_digest_of_its_bytes_and_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
