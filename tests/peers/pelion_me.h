/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/peers/pelion_me.h
 * @brief The one device that a scripted client is, and what its files call of each other.
 */
#pragma once

#include "tests/peers/pelion.h"

#define FW_MAX    (8u << 20)
#define TX_MAX    6
#define LATE_MAX  4
#define QUEUE_MAX 8
#define TOKEN_LEN 4

enum kind { K_NONE, K_REGISTER, K_UPDATE, K_DEREGISTER, K_EST, K_FW, K_BOOTSTRAP };
enum role { T_REQUEST = 1, T_NOTIFY, T_LATE, T_PING };

/** A CON of ours until it is acknowledged. */
struct tx {
    enum role role;
    unsigned mid, resends;
    uint64_t at_ms, wait_ms;
    struct res *res;
    size_t len;
    uint8_t buf[2048];
};
/** Our request: one at a time. */
struct req {
    enum kind kind;
    uint8_t token[TOKEN_LEN];
    unsigned block; /* number of the block being sent or asked for */
    size_t body_len, got_len;
    char name[64]; /* EST */
    uint8_t body[BODY_MAX];
};
/** An answer that comes as a message of its own. */
struct late {
    bool used, sent;
    uint64_t due_ms;
    uint8_t token[8];
    unsigned tkl, code, mid;
    char path[128];
    char text[64];
};
struct answered {
    unsigned mid;
    size_t len;
    uint8_t buf[2048];
};

extern struct peer_me {
    struct net net;
    struct cred boot_cred, lw_cred;
    enum mode mode;
    char boot_host[64], boot_port[8], boot_query[256];
    char host[64], port[8], query[256]; /* of the LwM2M server */
    char ep[128], aid[64], iep[64], location[256], type[64], binding[4];
    long lifetime, exec_delay, ack_timeout;
    unsigned block, drop_acks, deaf;
    bool registered, automatic, bootstrapping, boot_ready, two_step;
    const char *fw_how;
    uint8_t vendor[16], class_id[16];
    mbedtls_x509_crt signer;
    bool has_signer;
    mbedtls_pk_context est_key;
    struct boot boot;
    struct tx tx[TX_MAX];
    struct req req;
    enum kind queue[QUEUE_MAX];
    unsigned n_queue, mid;
    struct late late[LATE_MAX];
    struct answered seen[4];
    unsigned n_seen;
    /* a body that comes in blocks */
    char in_path[64];
    size_t in_len;
    uint8_t in_body[BODY_MAX];
    /* firmware */
    struct {
        int phase; /* 0 idle */
        struct manifest m;
        uint8_t raw[1024];
        size_t raw_len, got;
        uint64_t again_ms, backoff_ms;
        uint8_t *image;
    } fw;
    bool renewing;
    struct late renewal; /* waits for EST */
    char extra_links[512];
} me;

bool peer_tx_busy(enum role role);
struct tx *peer_con(enum role role, const struct wr *w);
void peer_ack(unsigned mid);
unsigned peer_szx(void);
void peer_req_send(void);
void peer_request(enum kind kind);
void peer_queue_run(void);
void peer_drop(bool notify);
bool peer_lw_open(void);
void peer_est_start(const char *name);
void peer_late_put(const uint8_t *token, unsigned tkl, unsigned code, const char *path,
                   const char *text, long delay);
void peer_est_done(unsigned code, const uint8_t *p, size_t len);
bool peer_uri_take(const char *uri);
void peer_boot_finished(void);
void peer_bootstrap(void);
void peer_answer_in(const struct msg *m);
void peer_notify_run(void);
void peer_changed(const char *path);
void peer_notified(const struct tx *tx, const char *how);
void peer_fw_state(const char *state);
void peer_fw_block(const struct msg *m);
void peer_fw_run(void);
void peer_fw_begin(void);
void peer_request_in(const struct msg *m);
