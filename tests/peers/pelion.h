/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/peers/pelion.h
 * @brief A scripted peer that behaves on the wire as an unmodified Pelion client does: for tests.
 *
 * Built on Mbed TLS 2.28 as the real client is, and on nothing of the server: it has its own
 * message codec, TLV and link list, so that one mistake cannot be on both sides. Commands come on
 * standard input, one a line; each event is one line of JSON on standard output.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <mbedtls/x509_crt.h>

#define RX_MAX   1152 /* the client's receive buffer */
#define BODY_MAX 65536
#define OPTS_MAX 40

/* ---- messages (pelion_coap.c) ---- */

enum { CON, NON, ACK, RST };
enum { GET = 1, POST, PUT, DEL };
#define CODE(c, d) ((c) << 5 | (d))
enum {
    O_OBSERVE = 6,
    O_LOCATION = 8,
    O_PATH = 11,
    O_FORMAT = 12,
    O_MAX_AGE = 14,
    O_QUERY = 15,
    O_ACCEPT = 17,
    O_BLOCK2 = 23,
    O_BLOCK1 = 27,
    O_SIZE2 = 28,
    O_PROXY_URI = 35,
    O_SIZE1 = 60,
};

struct opt {
    unsigned num, len;
    const uint8_t *val;
};
struct msg {
    unsigned type, code, mid, tkl;
    uint8_t token[8];
    struct opt opts[OPTS_MAX];
    unsigned n;
    const uint8_t *payload;
    size_t len;
};
/** A message being written; options in ascending order. */
struct wr {
    uint8_t buf[2048];
    size_t len;
    unsigned last;
};
bool msg_parse(const uint8_t *in, size_t len, struct msg *m);
const struct opt *msg_opt(const struct msg *m, unsigned num);
/** Value of an integer option, or -1. */
long msg_int(const struct msg *m, unsigned num);
void msg_path(const struct msg *m, unsigned num, char *out, size_t cap);
void wr_begin(struct wr *w, unsigned type, unsigned code, unsigned mid, const uint8_t *token,
              unsigned tkl);
void wr_opt(struct wr *w, unsigned num, const void *val, size_t len);
void wr_int(struct wr *w, unsigned num, unsigned long v);
void wr_payload(struct wr *w, const void *p, size_t len);
#define BLOCK(num, more, szx) ((unsigned long)(num) << 4 | (unsigned long)(more) << 3 | (szx))

/* ---- events ---- */

void ev(const char *name);
void ev_str(const char *key, const char *val);
void ev_num(const char *key, long val);
void ev_hex(const char *key, const void *p, size_t len);
void ev_code(unsigned code);
void ev_end(void);
void fail(const char *what, int code);
uint64_t now_ms(void);

/* ---- connection (pelion_net.c) ---- */

enum mode { M_UDP, M_DTLS, M_TCP, M_TLS };

/** Credentials of one connection. */
struct cred {
    mbedtls_x509_crt cert, ca;
    mbedtls_pk_context key;
    bool has_cert, has_ca;
    uint8_t psk[64];
    size_t psk_len;
    char psk_id[128];
};
void cred_init(struct cred *c);
void cred_free(struct cred *c);

struct net {
    enum mode mode;
    bool open, handshaken, renegotiated, resumed, oversize;
    mbedtls_net_context fd;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_timing_delay_context timer;
    mbedtls_ssl_session session; /**< of the last TLS connection */
    bool has_session;
    uint8_t server_random[32];
    uint32_t clock_s; /**< the device's idea of the time; 0 at first */
    uint32_t flags;   /**< of the verification */
    char peer_subject[256];
    uint8_t rx[4 + RX_MAX];
    size_t rx_len; /**< TCP: bytes of a message so far */
    char host[64], port[8];
    int suite[2]; /**< the only one that is offered; 0 = the default of the build */
};
extern mbedtls_ctr_drbg_context rng;

/** Connect and shake hands, with a second handshake when only the date of the server's certificate
 * is in the way. Tells "connected" or "failed". */
bool net_open(struct net *n, const char *host, const char *port, enum mode mode, struct cred *c);
/** Same keys, new source port (DTLS, UDP). */
bool net_rebind(struct net *n);
void net_close(struct net *n, bool notify);
/** One message; -1: the connection is gone. */
int net_send(struct net *n, const uint8_t *p, size_t len);
/** Length of one message, 0 nothing there, -1 gone. Messages over RX_MAX are discarded. */
int net_recv(struct net *n, uint8_t out[RX_MAX]);

/* ---- resources (pelion_res.c) ---- */

enum { R_OBS = 1, R_AOBS = 2, R_V = 4, R_W = 8, R_X = 16, R_OPAQUE = 32, R_INT = 64, R_LATE = 128 };

struct res {
    char path[32];
    const char *rt;
    unsigned flags;
    uint8_t *val;
    size_t len;
    unsigned aobs;     /**< token of the standing observation */
    uint8_t token[8];  /**< of an observation that was asked for */
    unsigned tkl, seq; /**< tkl 0: none */
    bool dirty, fresh; /**< waits to be notified; new since the last registration */
};
extern struct res *res_list;
extern size_t res_count;
void res_init(const char *version, const uint8_t vendor[16], const uint8_t class_id[16]);
struct res *res_find(const char *path);
struct res *res_add(const char *path, const char *rt, unsigned flags);
void res_set(struct res *r, const void *val, size_t len);
void res_set_text(const char *path, const char *text);
void res_observers_clear(void);
/** Choose the tokens of standing observations, as at a client's start. */
void res_aobs_assign(unsigned first);
/** The link list; only_fresh: what an Update carries. */
size_t res_links(char *out, size_t cap, bool only_fresh);
/** Is there anything at or below @p path? */
bool res_any_below(const char *path);
/** TLV of an object or instance. */
size_t res_tlv(const char *path, uint8_t *out, size_t cap);

/* ---- the update manifest (pelion_fw.c) ---- */

struct manifest {
    uint8_t vendor[16], class_id[16], digest[32];
    char component[16], version[16], uri[260];
    unsigned long size;
    int format;
    const uint8_t *signed_part, *signature;
    size_t signed_len, signature_len;
};
bool manifest_read(const uint8_t *der, size_t len, struct manifest *m);
/** 0, or the code of UpdateResult. */
int manifest_check(const struct manifest *m, const uint8_t vendor[16], const uint8_t class_id[16],
                   mbedtls_x509_crt *signer);
/** Plain GET, as the client's library does it; -1 on any failure. Continues at @p from. */
long http_get(const char *uri, uint8_t *out, size_t cap, size_t from);

/* ---- bootstrap (pelion_boot.c) ---- */

/** What object 0, instance 0 (the LwM2M server) holds. */
struct boot {
    bool deleted; /**< DELETE /0 came in this session */
    bool broken;  /**< written at instance level: private resources lost */
    bool has_object1;
    long mode; /**< -1 = none */
    char uri[256];
    uint8_t cert[1025], ca[1025], key[256];
    size_t cert_len, ca_len, key_len;
    long lifetime;
    long time_s; /**< 3/0/13, -1 = not written */
};
void boot_reset(struct boot *b);
/** A DELETE; the code to answer. */
unsigned boot_delete(struct boot *b, const char *path);
/** A PUT with its whole body. */
unsigned boot_put(struct boot *b, const char *path, long format, const uint8_t *body, size_t len);
