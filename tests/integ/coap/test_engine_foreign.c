/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/test_engine_foreign.c
 * @brief Programs of others against our server's engine: libcoap's client with three TLS libraries,
 * openssl s_client.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integ/coap/rig.h"
#include "tests/unit/coap/dtls_fixture.h"

#define KEY_HEX  "37373737373737373737373737373737"
#define KEY_TEXT "7777777777777777"
#define OUT_MAX  16384

static struct rig r;
static char out[OUT_MAX];
static size_t out_len;
static char folder[] = "/tmp/cx-foreign-XXXXXX";

static void set_up(void)
{
    rig_init(&r, NULL, NULL);
    rig_listen(&r);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
    static const char *const names[] = {"ca.pem", "device.pem", "device.key", "body"};
    char path[64];

    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    ck_assert_int_eq(rmdir(folder), 0);
    rig_fini(&r);
}

struct child {
    pid_t pid;
    int in, out;
};

static struct child spawn(const char *const *argv)
{
    int to[2];
    int from[2];
    struct child c;

    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    c.pid = fork();
    ck_assert_int_ge(c.pid, 0);
    if (c.pid == 0) {
        (void)dup2(to[0], 0);
        (void)dup2(from[1], 1);
        (void)execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    c.in = to[1];
    c.out = from[0];
    ck_assert_int_eq(fcntl(c.out, F_SETFL, O_NONBLOCK), 0);
    out_len = 0;
    return c;
}

static void read_some(struct child *c)
{
    ssize_t n = read(c->out, out + out_len, sizeof(out) - 1 - out_len);

    if (n > 0) {
        out_len += (size_t)n;
    }
    out[out_len] = '\0';
}

static bool has_ended(struct child *c, int *status)
{
    read_some(c);
    return waitpid(c->pid, status, WNOHANG) == c->pid;
}

static void forget(struct child *c)
{
    read_some(c);
    close(c->in);
    close(c->out);
}

/* Run to the end while the engine works; what it printed is in out. */
static void run(const char *const *argv)
{
    struct child c = spawn(argv);
    int status = 0;

    RIG_UNTIL(&r, has_ended(&c, &status));
    forget(&c);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %x", argv[0], status);
}

static const char *url(const char *scheme, const union cx_addr *a, const char *path)
{
    static char text[128];

    (void)snprintf(text, sizeof(text), "%s://127.0.0.1:%u/%s", scheme, ntohs(a->in4.sin_port),
                   path);
    return text;
}

static const char *const libcoap[] = {"coap-client-openssl", "coap-client-gnutls",
                                      "coap-client-notls"};

START_TEST(libcoap_speaks_to_us_in_the_clear)
{
    const char *const argv[] = {
        libcoap[_i], "-m", "post", "-e", "hello", url("coap", &r.plain, "echo"), NULL};

    run(argv);
    ck_assert_msg(strstr(out, "hello") != NULL, "printed '%s'", out);
    ck_assert_uint_eq(r.server.requests, 1);
}
END_TEST

START_TEST(libcoap_speaks_to_us_with_a_key)
{
    const char *const argv[] = {
        libcoap[_i], "-k",   KEY_TEXT, "-u",    "dev-17",
        "-m",        "post", "-e",     "hello", url("coaps", &r.secure, "echo"),
        NULL};

    run(argv);
    ck_assert_msg(strstr(out, "hello") != NULL, "printed '%s'", out);
    ck_assert_str_eq(r.server.who_name, "dev-17");
    ck_assert_uint_eq(rig_stats(r.server.engine).handshakes_done, 1);
    RIG_UNTIL(&r, r.server.gone == 1); /* its close_notify */
    ck_assert_int_eq(r.server.gone_why, CX_GONE_CLOSED);
}
END_TEST

static void read_body(const char *name)
{
    uint8_t body[BIG_LEN + 1];
    FILE *f = fopen(name, "r");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(body, 1, sizeof(body), f), BIG_LEN);
    ck_assert_mem_eq(body, rig_big(), BIG_LEN);
    (void)fclose(f);
}

START_TEST(libcoap_reads_a_large_body_block_by_block)
{
    char path[64];
    const char *const argv[] = {libcoap[_i], "-k", KEY_TEXT, "-u",
                                "dev-17",    "-o", path,     url("coaps", &r.secure, "big"),
                                NULL};

    (void)snprintf(path, sizeof(path), "%s/body", folder);
    run(argv);
    read_body(path);
}
END_TEST

START_TEST(libcoap_sends_a_large_body_block_by_block)
{
    char path[64];
    const char *const argv[] = {libcoap[_i], "-k", KEY_TEXT, "-u",
                                "dev-17",    "-m", "put",    "-b",
                                "256",       "-f", path,     url("coaps", &r.secure, "echo"),
                                NULL};

    (void)snprintf(path, sizeof(path), "%s/body", folder);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(rig_big(), 1, BIG_LEN, f), BIG_LEN);
    (void)fclose(f);
    run(argv);
    ck_assert_uint_eq(r.server.requests, 1);
    ck_assert_uint_eq(r.server.body_len, BIG_LEN);
}
END_TEST

START_TEST(libcoap_with_a_wrong_key_is_refused)
{
    const char *const argv[] = {libcoap[_i], "-B", "2",      "-k",
                                "nonsense",  "-u", "dev-17", url("coaps", &r.secure, "echo"),
                                NULL};
    struct child c = spawn(argv);
    int status;

    RIG_UNTIL(&r, rig_stats(r.server.engine).handshakes_failed >= 1);
    (void)kill(c.pid, SIGTERM);
    RIG_UNTIL(&r, has_ended(&c, &status));
    forget(&c);
    ck_assert_uint_eq(r.server.requests, 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);
}
END_TEST

static void write_file(const char *name, const char *text, char path[64])
{
    (void)snprintf(path, 64, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(libcoap_speaks_to_us_with_a_certificate)
{
    struct fx_cert *ca = fx_cert_new("test ca", NULL, true, -1, 30);
    struct fx_cert *own = fx_cert_new("127.0.0.1", ca, false, -1, 30);
    struct fx_cert *device = fx_cert_new("device-7", ca, false, -1, 30);
    struct cx_anchor anchor = {.der = ca->der, .len = ca->der_len, .tag = 5};
    struct cx_security_config sc = {
        .cert_pem = own->cert_pem, .key_pem = own->key_pem, .anchors = &anchor, .n_anchors = 1};
    struct cx_security_config cc = {.client = true};
    char ca_path[64];
    char cert_path[64];
    char key_path[64];

    rig_reload(&r, &sc, &cc);
    write_file("ca.pem", ca->cert_pem, ca_path);
    write_file("device.pem", device->cert_pem, cert_path);
    write_file("device.key", device->key_pem, key_path);
    const char *const argv[] = {libcoap[_i], "-c", cert_path, "-j",
                                key_path,    "-C", ca_path,   "-m",
                                "post",      "-e", "hello",   url("coaps", &r.secure, "echo"),
                                NULL};
    run(argv);
    ck_assert_msg(strstr(out, "hello") != NULL, "printed '%s'", out);
    ck_assert_str_eq(r.server.who_name, "device-7");
    ck_assert_uint_eq(r.server.cert_tag, 5);
    fx_cert_free(ca);
    fx_cert_free(own);
    fx_cert_free(device);
}
END_TEST

START_TEST(s_client_speaks_to_us_with_a_key)
{
    static const char *const suites[] = {"PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256",
                                         "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-CCM"};
    char where[32];
    const char *const argv[] = {"openssl",  "s_client",      "-dtls1_2", "-quiet",  "-psk",
                                KEY_HEX,    "-psk_identity", "dev-99",   "-cipher", suites[_i],
                                "-connect", where,           NULL};
    /* POST /echo "knock-knock", confirmable. */
    static const char request[] = "\x41\x02\x11\x22\x33\xb4"
                                  "echo\xff"
                                  "knock-knock";
    struct child c;
    int status;

    (void)snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(r.secure.in4.sin_port));
    c = spawn(argv);
    RIG_UNTIL(&r, rig_stats(r.server.engine).handshakes_done == 1);
    ck_assert_int_eq(write(c.in, request, sizeof(request) - 1), sizeof(request) - 1);
    RIG_UNTIL(&r, (read_some(&c), out_len >= 17));
    (void)kill(c.pid, SIGTERM);
    RIG_UNTIL(&r, has_ended(&c, &status));
    forget(&c);
    ck_assert_uint_eq((uint8_t)out[0], 0x61);
    ck_assert_uint_eq((uint8_t)out[1], CX_CONTENT);
    ck_assert_mem_eq(out + 2, "\x11\x22\x33", 3);
    ck_assert_mem_eq(out + out_len - 12, "\xffknock-knock", 12);
    ck_assert_str_eq(r.server.who_name, "dev-99");
}
END_TEST

/* ---- streams ---- */

START_TEST(libcoap_speaks_to_us_over_tcp)
{
    char path[64];
    const char *const post[] = {
        libcoap[_i], "-m", "post", "-e", "hello", url("coap+tcp", &r.tcp, "echo"), NULL};

    run(post);
    ck_assert_msg(strstr(out, "hello") != NULL, "printed '%s'", out);
    (void)snprintf(path, sizeof(path), "%s/body", folder);
    const char *const get[] = {libcoap[_i], "-o", path, url("coap+tcp", &r.tcp, "big"), NULL};
    run(get);
    read_body(path);
    const char *const put[] = {
        libcoap[_i], "-m", "put", "-f", path, url("coap+tcp", &r.tcp, "echo"), NULL};
    run(put);
    ck_assert_uint_eq(r.server.body_len, BIG_LEN);
    RIG_UNTIL(&r, r.server.gone == 3);
    ck_assert_uint_eq(rig_stats(r.server.engine).streams_failed, 0);
}
END_TEST

START_TEST(libcoap_speaks_to_us_over_tls_with_a_key)
{
    char path[64];
    const char *const post[] = {
        libcoap[_i], "-k",   KEY_TEXT, "-u",    "dev-17",
        "-m",        "post", "-e",     "hello", url("coaps+tcp", &r.tls, "echo"),
        NULL};

    run(post);
    ck_assert_msg(strstr(out, "hello") != NULL, "printed '%s'", out);
    ck_assert_str_eq(r.server.who_name, "dev-17");
    (void)snprintf(path, sizeof(path), "%s/body", folder);
    const char *const get[] = {libcoap[_i], "-k", KEY_TEXT, "-u",
                               "dev-17",    "-o", path,     url("coaps+tcp", &r.tls, "big"),
                               NULL};
    run(get);
    read_body(path);
}
END_TEST

/* One record in, one out, as Pelion's clients do. */
START_TEST(s_client_speaks_to_us_over_tls)
{
    char where[32];
    const char *const argv[] = {
        "openssl",  "s_client",      "-tls1_2", "-quiet",  "-psk",
        KEY_HEX,    "-psk_identity", "dev-99",  "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0",
        "-connect", where,           NULL};
    static const char request[] = "\x41\x02\x11\x22\x33\xb4"
                                  "echo\xff"
                                  "knock-knock";
    struct child c;
    int status;

    (void)snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(r.tls.in4.sin_port));
    c = spawn(argv);
    RIG_UNTIL(&r, rig_stats(r.server.engine).handshakes_done == 1);
    ck_assert_int_eq(write(c.in, request, sizeof(request) - 1), sizeof(request) - 1);
    RIG_UNTIL(&r, (read_some(&c), out_len >= 17));
    (void)kill(c.pid, SIGTERM);
    RIG_UNTIL(&r, has_ended(&c, &status));
    forget(&c);
    ck_assert_uint_eq((uint8_t)out[0], 0x61);
    ck_assert_mem_eq(out + 2, "\x11\x22\x33", 3);
    ck_assert_str_eq(r.server.who_name, "dev-99");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap/engine with foreign peers");
    TCase *tc = tcase_create("programs of others");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, libcoap_speaks_to_us_in_the_clear, 0, 3);
    tcase_add_loop_test(tc, libcoap_speaks_to_us_with_a_key, 0, 2);
    tcase_add_loop_test(tc, libcoap_reads_a_large_body_block_by_block, 0, 2);
    tcase_add_loop_test(tc, libcoap_sends_a_large_body_block_by_block, 0, 2);
    tcase_add_loop_test(tc, libcoap_with_a_wrong_key_is_refused, 0, 2);
    tcase_add_loop_test(tc, libcoap_speaks_to_us_with_a_certificate, 0, 2);
    tcase_add_loop_test(tc, s_client_speaks_to_us_with_a_key, 0, 3);
    tcase_add_loop_test(tc, libcoap_speaks_to_us_over_tcp, 0, 3);
    tcase_add_loop_test(tc, libcoap_speaks_to_us_over_tls_with_a_key, 0, 2);
    tcase_add_test(tc, s_client_speaks_to_us_over_tls);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
