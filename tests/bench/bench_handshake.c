/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_handshake.c
 * @brief What OpenSSL alone takes for a handshake with a PSK (AES-128-CCM-8), and for a fresh P-256
 * key with a signed certificate: the floor of a bootstrap.
 *
 *     bench_handshake SECONDS
 *
 * TLS 1.2 over memory, both sides in one thread; the time of each side is taken by itself. DTLS has
 * the same cryptography, and its cookie on top.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/clock.h"

static const unsigned char key[16] = {1, 2, 3, 4};

static void must(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench_handshake: %s\n", what);
        exit(1);
    }
}

static unsigned server_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned max)
{
    (void)ssl;
    (void)identity;
    must(max >= sizeof key, "room for the key");
    memcpy(psk, key, sizeof key);
    return sizeof key;
}

static unsigned client_psk(SSL *ssl, const char *hint, char *identity, unsigned max_identity,
                           unsigned char *psk, unsigned max)
{
    (void)hint;
    (void)snprintf(identity, max_identity, "device");
    return server_psk(ssl, identity, psk, max);
}

static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    must(ctx != NULL && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1 &&
             SSL_CTX_set_cipher_list(ctx, "PSK-AES128-CCM8:@SECLEVEL=0") == 1,
         "context");
    SSL_CTX_set_psk_server_callback(ctx, server_psk);
    SSL_CTX_set_psk_client_callback(ctx, client_psk);
    return ctx;
}

/* One handshake; @return microseconds of the server's side */
static double handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx)
{
    uint64_t began = dr_mono_us(), spent = 0;
    SSL *server = SSL_new(server_ctx);
    BIO *a = NULL, *b = NULL;

    must(server != NULL && BIO_new_bio_pair(&a, 0, &b, 0) == 1, "pair");
    SSL_set_bio(server, a, a);
    spent += dr_mono_us() - began;
    SSL *client = SSL_new(client_ctx);
    must(client != NULL, "client");
    SSL_set_bio(client, b, b);
    int done_client = 0, done_server = 0;
    for (unsigned turn = 0; turn < 20 && (done_client != 1 || done_server != 1); turn++) {
        done_client = done_client == 1 ? 1 : SSL_connect(client);
        began = dr_mono_us();
        done_server = done_server == 1 ? 1 : SSL_accept(server);
        spent += dr_mono_us() - began;
    }
    must(done_client == 1 && done_server == 1, "handshake");
    SSL_free(client);
    began = dr_mono_us();
    SSL_free(server);
    return (double)(spent + dr_mono_us() - began);
}

/* A fresh key and a certificate signed with @p authority. */
static void issue(EVP_PKEY *authority)
{
    EVP_PKEY *fresh = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    unsigned char *der = NULL;

    must(fresh != NULL && cert != NULL && X509_set_version(cert, 2) == 1 &&
             ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL &&
             X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                        (const unsigned char *)"device", -1, -1, 0) == 1 &&
             X509_set_pubkey(cert, fresh) == 1 && X509_sign(cert, authority, EVP_sha256()) > 0 &&
             i2d_X509(cert, &der) > 0,
         "certificate");
    OPENSSL_free(der);
    X509_free(cert);
    EVP_PKEY_free(fresh);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 2, server_us = 0;
    SSL_CTX *server = context(TLS_server_method()), *client = context(TLS_client_method());
    EVP_PKEY *authority = EVP_EC_gen("P-256");
    uint64_t began = dr_mono_us(), n = 0, made = 0;

    must(authority != NULL, "authority");
    while ((double)(dr_mono_us() - began) < seconds * 1e6) {
        server_us += handshake(server, client);
        n++;
    }
    double all_us = (double)(dr_mono_us() - began);
    began = dr_mono_us();
    while ((double)(dr_mono_us() - began) < seconds * 1e6) {
        issue(authority);
        made++;
    }
    printf("{\"handshakes\":%llu,\"server_us\":%.2f,\"both_us\":%.2f,\"issue_us\":%.2f}\n",
           (unsigned long long)n, server_us / (double)n, all_us / (double)n,
           (double)(dr_mono_us() - began) / (double)made);
    EVP_PKEY_free(authority);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    return 0;
}
