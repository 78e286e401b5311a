/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/client.h
 * @brief The LwM2M client: accounts, association, bootstrap, registration, the server's requests.
 *
 * Layer: client/core.  Threads: one loop: call cl_step() until the time it returns, or when the
 * network has something.  Memory: the caller's struct only; Mbed TLS takes its own.
 * Limits: one bootstrap account and one server account.
 * Security: keys are written to the accounts and never read back by anyone.
 * Spec: LwM2M 1.1 core 6, transport 6; reference of Pelion's client for the other form.
 *
 *   idle -> connecting -> bootstrapping -> connecting -> registering -> registered
 *              |               |                             |             |
 *              `------------ waiting (back-off) <------------+-------------'
 */
#pragma once

#include "client/core/account.h"
#include "client/core/coap.h"
#include "client/core/observe.h"
#include "client/core/sec.h"

#define CL_ENDPOINT_MAX 64
#define CL_LOCATION_MAX 128
#define CL_QUERY_MAX    256
#define CL_BODY_IN_MAX  4096
#define CL_BODY_OUT_MAX 3072

/** The version that Pelion's servers are told (mccv). */
#define CL_PELION_VERSION "4.13.2"

enum cl_state {
    CL_IDLE,
    CL_WAITING, /**< after a failure */
    CL_CONNECTING,
    CL_BOOTSTRAPPING,
    CL_REGISTERING,
    CL_REGISTERED,
    CL_LEAVING, /**< de-registering */
    CL_STOPPED,
};

struct cl_client;

/** Told to the program; all may be NULL. */
struct cl_hooks {
    void (*state)(struct cl_client *cl, enum cl_state state);
    /** Registered with a server: also after each new registration. */
    void (*registered)(struct cl_client *cl, const char *device_id);
    /** A line for people about what failed and what happens now. */
    void (*trouble)(struct cl_client *cl, const char *line);
    void *ctx;
};

struct cl_config {
    char endpoint[CL_ENDPOINT_MAX + 1];
    uint32_t lifetime_s;
    bool pelion;      /**< Pelion's parameters, names and values in requests of ours */
    bool records;     /**< over TLS: a datagram-form message in each record instead of RFC 8323 */
    const char *type; /**< of the endpoint (et), or NULL */
};

/** A body of the server that comes in blocks. */
struct cl_inbody {
    uint8_t buf[CL_BODY_IN_MAX];
    size_t len;    /**< bytes so far: the next block must begin there */
    uint32_t hash; /**< of method and path */
    bool open;
};

/** An execute or write whose answer comes later. */
struct cl_later {
    bool open; /**< a request waits */
    bool done; /**< its result is known */
    cl_err_t err;
    uint8_t token[CL_TOKEN_MAX], token_len;
    uint8_t code;  /**< of success */
    char text[12]; /**< payload of success */
};

/** A key that waits for its certificate. */
struct cl_enrolment {
    void (*cb)(struct cl_client *cl, cl_err_t err); /**< NULL: none under way */
    uint8_t key[CL_KEY_MAX];
    uint16_t key_len;
};

struct cl_client {
    struct cl_config config;
    struct cl_hooks hooks;
    struct cl_evq evq;
    struct cl_objects objects;
    struct cl_obj security_obj, server_obj, renewal_obj;
    struct cl_coap coap;
    struct cl_sec sec;
    struct cl_accounts accounts;
    struct cl_observers observers;
    enum cl_state state;
    bool bootstrapping;  /**< the association is with the bootstrap server */
    bool finished;       /**< the bootstrap server said so */
    bool must_bootstrap; /**< before the next registration */
    bool must_update, must_register;
    bool list_changed, stop_wanted;
    uint8_t failures;  /**< in a row */
    int16_t notifying; /**< observer whose notification is in flight, -1 = none, -2 = an answer */
    char location[CL_LOCATION_MAX];
    char device_id[CL_LOCATION_MAX];
    char query[CL_QUERIES_MAX][CL_QUERY_MAX];
    struct cl_call call; /**< bootstrap request, register, update, de-register, one at a time */
    struct cl_enrolment enrolment;
    const char *renewal_refusal; /**< answer to a renewal that is not begun, or NULL */
    struct cl_inbody in;
    struct cl_later later;
    uint8_t etag[4];
    uint8_t out[CL_BODY_OUT_MAX];  /**< answers */
    uint8_t list[CL_BODY_OUT_MAX]; /**< body of our own request */
};

/** @param kvs  where accounts are kept, or NULL; borrowed. Objects may be added until cl_start().
 */
CL_CHECK cl_err_t cl_init(struct cl_client *cl, const struct cl_config *config,
                          const struct cl_hooks *hooks, struct cl_kvs *kvs);
/**
 * Register, or bootstrap first when there is no server account.
 * @retval CL_ERR_NOENT  no account at all
 */
CL_CHECK cl_err_t cl_start(struct cl_client *cl);
/** Do what is due. @return absolute time of the next call at the latest, or CL_NEVER */
uint64_t cl_step(struct cl_client *cl, uint64_t now_ms);
/** De-register and close: go on with cl_step() until cl->state is CL_STOPPED. */
void cl_stop(struct cl_client *cl);
/** Wipes all keys. */
void cl_fini(struct cl_client *cl);

/** A value changed: notifications follow by their attributes. CL_ID_NONE stands for all. */
void cl_changed(struct cl_client *cl, uint16_t obj, uint16_t inst, uint16_t res);
/** A change of this resource was not delivered yet. */
bool cl_unsent(const struct cl_client *cl, uint16_t obj, uint16_t inst, uint16_t res);
/** The object or instance list changed: a registration update follows. */
void cl_list_changed(struct cl_client *cl);
/** The answer of the callback that said CL_ERR_LATER. @param err  CL_OK or as the callback */
void cl_done(struct cl_client *cl, cl_err_t err);
/** The same with a short text as payload of the success. */
void cl_done_text(struct cl_client *cl, const char *text);
/** Restart the machine once the answers under way are out. */
void cl_reboot(struct cl_client *cl);
/** Update the registration now. */
void cl_update(struct cl_client *cl);
/** Bootstrap again now. */
void cl_rebootstrap(struct cl_client *cl);
