/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/test_tls.c
 * @brief The same server behind TLS: whole answers, hang-ups, clients that do not shake hands, and
 * curl.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/loop.h"
#include "rest/server.h"
#include "tests/integ/rest/client.h"

#define BIG (3 * 1024 * 1024 + 17)

static struct loop *loop;
static struct rest_http *http;
static struct client *tcp;
static SSL_CTX *ctx;
static SSL *ssl;
static char dir[64], cert[96], key[96];
static int gone_count, sent_ok, sent_failed;
static struct rest_req *held;

static void big(struct rest_req *req)
{
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, BIG);
    uint8_t *p = dr_dynbuf_reserve(&b, BIG);
    for (size_t i = 0; p != NULL && i < BIG; i++) {
        p[i] = (uint8_t)('a' + i % 23);
    }
    req->sent = NULL;
    rest_answer(req, 200, "text/plain", &b);
}

static void echo(struct rest_req *req)
{
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, 1 << 20);
    dr_dynbuf_append_bytes(&b, req->body);
    rest_answer(req, 200, "text/plain", &b);
}

static void hold_gone(struct rest_req *req)
{
    gone_count++;
    held = NULL;
    rest_answer_empty(req, 204);
}
static void hold_sent(struct rest_req *req, bool ok)
{
    (void)req;
    sent_ok += ok;
    sent_failed += !ok;
}
static void hold(struct rest_req *req)
{
    held = req;
    req->gone = hold_gone;
    req->sent = hold_sent;
}

static const struct rest_route table[] = {
    {REST_GET, REST_OPEN, "/v3/big", big, 0},
    {REST_POST, REST_OPEN, "/v3/echo", echo, 0},
    {REST_GET, REST_OPEN, "/v3/hold", hold, 0},
};
static const struct rest_routes routes = {table, DR_ARRAY_LEN(table)};
static const struct rest_routes *const all[] = {&routes};

static void make_files(void)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_version(x, 2);
    X509_set_pubkey(x, pkey);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *san =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_add_ext(x, san, -1);
    X509_EXTENSION_free(san);
    ck_assert_int_ne(X509_sign(x, pkey, EVP_sha256()), 0);
    FILE *f = fopen(cert, "w");
    ck_assert_ptr_nonnull(f);
    PEM_write_X509(f, x);
    fclose(f);
    f = fopen(key, "w");
    ck_assert_ptr_nonnull(f);
    PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(pkey);
}

static void setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/rest-tls-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    (void)snprintf(key, sizeof key, "%s/key.pem", dir);
    make_files();
    ck_assert_int_eq(loop_new("control", &loop), DR_OK);
    const struct rest_http_config config = {.loop = loop,
                                            .name = "test",
                                            .address = "127.0.0.1:0",
                                            .cert = cert,
                                            .key = key,
                                            .routes = all,
                                            .n_routes = 1,
                                            .handshake_ms = 1500};
    struct dr_errinfo info = {0};
    ck_assert_msg(rest_http_new(&config, &http, &info) == DR_OK, "%s", info.text);
    gone_count = sent_ok = sent_failed = 0;
    held = NULL;
    tcp = calloc(1, sizeof *tcp);
    client_open(tcp, loop, rest_http_address(http));
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_locations(ctx, cert, NULL);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    ssl = SSL_new(ctx);
    SSL_set_fd(ssl, tcp->fd);
}

static void closed(void *data)
{
    *(bool *)data = true;
}

static void teardown(void)
{
    bool done = false;

    SSL_free(ssl);
    SSL_CTX_free(ctx);
    client_close(tcp);
    rest_http_close(http, closed, &done);
    for (int i = 0; i < 10000 && !done; i++) {
        client_run(loop, 1);
    }
    ck_assert(done);
    http = rest_http_free(http);
    client_run(loop, 5);
    loop = loop_free(loop);
    free(tcp);
    unlink(cert);
    unlink(key);
    rmdir(dir);
}

/* Drive the loop until an SSL call goes through; its last result. */
static int drive(int (*fn)(void *arg), void *arg)
{
    uint64_t end = dr_mono_ms() + 10000;
    int n = fn(arg);

    while (n <= 0 && dr_mono_ms() < end) {
        int err = SSL_get_error(ssl, n);
        if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE) {
            break;
        }
        loop_run_once(loop, false);
        n = fn(arg);
    }
    return n;
}

struct piece {
    char *p;
    int len;
};
static int do_connect(void *arg)
{
    (void)arg;
    return SSL_connect(ssl);
}
static int do_write(void *arg)
{
    struct piece *x = arg;
    return SSL_write(ssl, x->p, x->len);
}
static int do_read(void *arg)
{
    struct piece *x = arg;
    return SSL_read(ssl, x->p, x->len);
}

static void start(const char *request)
{
    ck_assert_int_eq(drive(do_connect, NULL), 1);
    struct piece out = {(char *)(uintptr_t)request, (int)strlen(request)};
    ck_assert_int_eq(drive(do_write, &out), out.len);
}

START_TEST(carries_a_large_answer_whole)
{
    start("GET /v3/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    char *all_of_it = malloc(BIG + 65536);
    int len = 0;
    for (;;) {
        struct piece in = {all_of_it + len, 16384};
        int n = drive(do_read, &in);
        if (n <= 0) {
            ck_assert_int_eq(SSL_get_error(ssl, n), SSL_ERROR_ZERO_RETURN); /* close_notify */
            break;
        }
        len += n;
        ck_assert_int_le(len, BIG + 32768);
    }
    char *body = memmem(all_of_it, (size_t)len, "\r\n\r\n", 4);
    ck_assert_ptr_nonnull(body);
    body += 4;
    ck_assert_int_eq(all_of_it + len - body, BIG);
    for (int i = 0; i < BIG; i++) {
        ck_assert_int_eq(body[i], 'a' + i % 23);
    }
    free(all_of_it);
}
END_TEST

START_TEST(carries_a_large_body_in)
{
    char *request = malloc(900000 + 200);
    int n = sprintf(request, "POST /v3/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
                             "Connection: close\r\n\r\n");
    memset(request + n, 'z', 900000);
    request[n + 900000] = '\0';
    ck_assert_int_eq(drive(do_connect, NULL), 1);
    int sent = 0;
    while (sent < n + 900000) {
        struct piece out = {request + sent, n + 900000 - sent > 8192 ? 8192 : n + 900000 - sent};
        int k = drive(do_write, &out);
        ck_assert_int_gt(k, 0);
        sent += k;
    }
    int zs = 0;
    for (;;) {
        struct piece in = {request, 16384};
        int k = drive(do_read, &in);
        if (k <= 0) {
            break;
        }
        for (int i = 0; i < k; i++) {
            zs += request[i] == 'z';
        }
    }
    ck_assert_int_eq(zs, 900000);
    free(request);
}
END_TEST

START_TEST(tells_a_handler_of_a_hang_up)
{
    start("GET /v3/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    client_run(loop, 50);
    ck_assert_ptr_nonnull(held);
    SSL_shutdown(ssl);
    client_close(tcp);
    client_run(loop, 100);
    ck_assert_int_eq(gone_count, 1);
    ck_assert_int_eq(sent_ok + sent_failed, 1);
    struct rest_http_stats stats;
    rest_http_stats(http, &stats);
    ck_assert_uint_eq(stats.open, 0);
}
END_TEST

START_TEST(sent_waits_for_the_network)
{
    start("GET /v3/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    client_run(loop, 50);
    ck_assert_ptr_nonnull(held);
    struct dr_dynbuf b;
    size_t huge = (size_t)16 * 1024 * 1024; /* more than the kernel takes for a silent reader */
    dr_dynbuf_init(&b, huge);
    ck_assert_ptr_nonnull(dr_dynbuf_reserve(&b, huge));
    memset(b.p, 'x', huge);
    rest_answer(held, 200, "text/plain", &b);
    client_run(loop, 200);
    ck_assert_int_eq(sent_ok + sent_failed, 0);
    client_close(tcp); /* never read */
    client_run(loop, 200);
    ck_assert_int_eq(sent_ok, 0);
    ck_assert_int_eq(sent_failed, 1);
}
END_TEST

START_TEST(sent_is_told_after_the_flush)
{
    start("GET /v3/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    client_run(loop, 50);
    ck_assert_ptr_nonnull(held);
    rest_answer_text(held, 200, "now");
    char buf[4096];
    struct piece in = {buf, sizeof buf};
    ck_assert_int_gt(drive(do_read, &in), 0);
    client_run(loop, 20);
    ck_assert_int_eq(sent_ok, 1);
}
END_TEST

START_TEST(closes_what_is_not_tls)
{
    client_printf(tcp, "GET /v3/big HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(client_closed(tcp, 1000));
}
END_TEST

START_TEST(closes_a_silent_client)
{
    uint64_t begin = dr_mono_ms();
    ck_assert(client_closed(tcp, 5000));
    ck_assert_uint_ge(dr_mono_ms() - begin, 1000);
}
END_TEST

START_TEST(a_reload_takes_the_new_certificate)
{
    struct dr_errinfo info = {0};
    ck_assert_int_eq(rest_http_reload(http, cert, "/nonexistent", &info), DR_ERR_CRYPTO);
    start("GET /v3/big HTTP/1.1\r\nHost: x\r\n\r\n"); /* the old one is still there */
    make_files();
    ck_assert_int_eq(rest_http_reload(http, cert, key, &info), DR_OK);
}
END_TEST

START_TEST(curl_gets_an_answer)
{
    char command[400];
    char text[64] = "";

    (void)snprintf(command, sizeof command,
                   "curl -sS --max-time 10 --cacert %s --data-binary hello -w ' %%{http_code}' "
                   "https://%s/v3/echo 2>&1",
                   cert, rest_http_address(http));
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    struct pollfd p = {.fd = fileno(f), .events = POLLIN};
    for (int i = 0; i < 10000 && poll(&p, 1, 0) == 0; i++) {
        client_run(loop, 1);
    }
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    ck_assert_str_eq(text, "hello 200");
    ck_assert_int_eq(pclose(f), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest tls");
    TCase *tc = tcase_create("tls");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, carries_a_large_answer_whole);
    tcase_add_test(tc, carries_a_large_body_in);
    tcase_add_test(tc, tells_a_handler_of_a_hang_up);
    tcase_add_test(tc, sent_waits_for_the_network);
    tcase_add_test(tc, sent_is_told_after_the_flush);
    tcase_add_test(tc, closes_what_is_not_tls);
    tcase_add_test(tc, closes_a_silent_client);
    tcase_add_test(tc, a_reload_takes_the_new_certificate);
    tcase_add_test(tc, curl_gets_an_answer);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
