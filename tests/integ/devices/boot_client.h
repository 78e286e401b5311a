/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/boot_client.h
 * @brief A scripted device for the bootstrap interface, on our engine in its client role.
 *
 * It answers what the server asks as its script says, keeps what was written, and counts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "coap/engine.h"
#include "lwm2m/model.h"
#include "lwm2m/value.h"

#define BOOT_CLIENT_SEEN_MAX  64
#define BOOT_CLIENT_RULES_MAX 8

/** What to answer instead of the usual. */
struct boot_rule {
    uint8_t code;     /**< of the request; 0 = any */
    const char *path; /**< "/0/1"; NULL = any */
    int32_t format;   /**< of the request; -1 = any */
    uint8_t answer;   /**< 0 = none at all */
    unsigned times;   /**< how often; it is used up then */
};

struct boot_seen {
    uint8_t code;
    char path[40];
    char query[80];
    int32_t format, accept;
    size_t len;
    int32_t block1;
};

struct boot_client {
    struct loop *loop;
    struct cx_engine *engine;
    struct cx_security *security;
    struct lwm2m_models *models;
    union cx_addr server;
    enum cx_proto proto;     /**< 0: DTLS */
    enum cx_framing framing; /**< of a stream */
    cx_peer_t peer;
    struct cx_call call;
    struct cx_opt opts[17];
    struct dr_bytes body; /**< of the next requests */
    char query[320];
    bool connected, answered, gone, closed;
    dr_err_t connect_err, err;
    uint8_t code; /**< of the answer to our request */
    int32_t answer_format;

    /* script */
    const char *discover;        /**< answer to GET /; NULL: 4.04 */
    const char *discover_object; /**< answer to GET /0; NULL: 4.04 */
    const char *server_object;   /**< answer to GET /1/x (SenML JSON); NULL: 4.05 */
    struct boot_rule rules[BOOT_CLIENT_RULES_MAX];
    bool separate;         /**< Finish is acknowledged first, as Pelion's client does */
    unsigned silent_after; /**< answer so many requests and no more; 0 = all */

    /* what happened */
    struct boot_seen seen[BOOT_CLIENT_SEEN_MAX];
    unsigned n_seen;
    struct lwm2m_nodes written;
    bool finished;
    cx_exchange_t finish_x;
    struct loop_timer later;
};

/** @param cert_pem, key_pem  NULL for PSK. @param ca  trust anchor of the server, DER */
void boot_client_open(struct boot_client *c, struct loop *loop, const union cx_addr *server,
                      const char *cert_pem, const char *key_pem, const struct cx_anchor *ca);
void boot_client_close(struct boot_client *c);
/** @param host  last bytes of the loopback source address 127.x.y.z; 0 = any */
void boot_client_connect(struct boot_client *c, const char *identity, const uint8_t *key,
                         size_t len, uint32_t host);
/** @param path  one segment or two. @param query  parameters joined with '&'; NULL = none */
void boot_client_request(struct boot_client *c, uint8_t code, const char *path, const char *query,
                         int32_t accept);
/** Value that was written there, or NULL. */
const struct lwm2m_value *boot_client_value(const struct boot_client *c, uint16_t object,
                                            uint16_t instance, uint16_t res);
/** The instance of /0 that holds a server's account, or -1. */
int boot_client_account(const struct boot_client *c);
