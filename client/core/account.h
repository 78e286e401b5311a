/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/account.h
 * @brief The accounts of the device: what objects 0 and 1 hold, and their place in the store.
 *
 * Layer: client/core.  Threads: one loop.  Memory: the caller's struct only.
 * Limits: one bootstrap account, one server account; CL_CERT_MAX bytes a certificate or identity.
 * Security: holds keys in clear; cl_accounts_wipe() clears them. A new set is stored whole or not
 * at all.
 */
#pragma once

#include "client/core/kvs.h"
#include "client/core/object.h"

#define CL_URI_MAX      256
#define CL_CERT_MAX     1024
#define CL_KEY_MAX      256
#define CL_ACCOUNTS_MAX 2
#define CL_SERVER       0 /**< place of the server account */
#define CL_BOOTSTRAPPER 1 /**< place of the bootstrap account */

enum cl_mode { CL_MODE_PSK = 0, CL_MODE_CERT = 2, CL_MODE_NONE = 3, CL_MODE_EST = 4 };

/** An instance of object 0. */
struct cl_account {
    bool there;
    bool written;  /**< by a bootstrap server; to be stored */
    uint16_t inst; /**< id of the instance */
    uint8_t mode;  /**< enum cl_mode */
    uint16_t ssid; /**< 0 for a bootstrap account */
    uint16_t id_len, peer_len, key_len;
    uint32_t hold_off_s;
    char uri[CL_URI_MAX];
    uint8_t id[CL_CERT_MAX];   /**< identity of the key, or our certificate */
    uint8_t peer[CL_CERT_MAX]; /**< certificate of the server's authority */
    uint8_t key[CL_KEY_MAX];   /**< secret key, or private key (DER) */
};

/** An instance of object 1. */
struct cl_server {
    bool there, store_notes;
    uint16_t inst, ssid;
    uint32_t lifetime_s, pmin_s, pmax_s;
    char binding[8];
};

struct cl_accounts {
    struct cl_account account[CL_ACCOUNTS_MAX];
    struct cl_server server;
    struct cl_kvs *kvs; /**< or NULL */
    uint32_t origin;    /**< tells one configured bootstrap account from another */
    uint8_t generation; /**< of the stored set */
};

/** Nothing there yet. */
void cl_accounts_init(struct cl_accounts *a, struct cl_kvs *kvs);
/**
 * Read what an earlier bootstrap stored. The bootstrap account of the configuration is in place: a
 * set that came from another one is of another owner and removed.
 * @retval CL_ERR_NOENT  nothing (of this owner) is stored
 * @retval CL_ERR_INVAL  what is stored is damaged
 */
CL_CHECK cl_err_t cl_accounts_load(struct cl_accounts *a);
/** Store what was written in place of the stored set; cut anywhere, one of the two is there. */
CL_CHECK cl_err_t cl_accounts_save(struct cl_accounts *a);
/** Remove the stored set. */
CL_CHECK cl_err_t cl_accounts_forget(struct cl_accounts *a);
/** Clear all in memory. */
void cl_accounts_wipe(struct cl_accounts *a);
/** Overwrite secrets so that no compiler leaves it out. */
void cl_wipe(void *p, size_t len);

enum cl_scheme { CL_COAP, CL_COAPS, CL_COAP_TCP, CL_COAPS_TCP };

struct cl_uri {
    enum cl_scheme scheme;
    uint16_t port;
    char host[CL_URI_MAX];
    const char *query; /**< behind '?', points into the text; "" when there is none */
};

/** coap, coaps, coap+tcp, coaps+tcp; IPv6 in brackets. @retval CL_ERR_INVAL  anything else */
CL_CHECK cl_err_t cl_uri_parse(const char *text, struct cl_uri *ret);
