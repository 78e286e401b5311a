/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/run_priv.h
 * @brief The running server: what its parts share, its ports, and what it shows and trusts.
 *
 * Layer: server, private.  Threads: the control loop, except where a function says otherwise; a
 * struct shard is its loop's while that runs.  Memory: one struct srv, on the heap.
 * Limits: SHARDS_MAX.  Security: private keys are wiped after use.  Spec: none.
 */
#pragma once

#include "base/file.h"
#include "base/loop.h"
#include "campaigns/campaign.h"
#include "campaigns/download.h"
#include "campaigns/image.h"
#include "coap/engine.h"
#include "db/db.h"
#include "devices/boot.h"
#include "devices/dev.h"
#include "devices/est.h"
#include "devices/issue.h"
#include "devices/renew.h"
#include "devices/trust.h"
#include "lwm2m/model.h"
#include "rest/rest.h"
#include "server/folder.h"
#include "server/keys.h"
#include "server/run.h"

#define SHARDS_MAX  64
#define ADDRESS_MAX 80
#define SRV_NO_PORT ((struct srv_port){.udp = -1, .tcp = -1})

struct srv;

/** Datagrams and connections of one address. -1: none, or an engine's. */
struct srv_port {
    int udp, tcp;
};

struct shard {
    struct srv *srv;
    unsigned index;
    struct loop *loop;
    struct loop_thread thread;
    struct cx_engine *engine;
    struct cx_engine *boot_engine;
    struct srv_port coap, coaps, boot;
    dr_err_t err;
    struct loop_call call;       /* control asks the shard to start or close its engine */
    struct loop_call renew_call; /* … to show other certificates */
    struct cx_security *renewed, *boot_renewed; /* owned while that runs */
};

struct srv {
    struct srv_config *config;
    dr_err_t (*reread)(void *data, struct srv_config *ret, struct dr_errinfo *reterr);
    void *data;
    struct dr_errinfo *reterr;
    int exit_code;
    int lock_fd;
    struct srv_keys keys;
    struct db *db;
    struct dev_trust *trust;
    struct dev_issuer *issuer;
    struct dev_est *est;
    struct dev_renewals *renewals;
    uint8_t server_ca[CERT_DER_MAX]; /* what devices check the LwM2M server against */
    size_t server_ca_len;
    struct lwm2m_models *models;
    struct cx_security *security;
    struct cx_security *boot_security; /**< its own keys: nothing of one port opens the other */
    struct loop *control;
    struct shard shards[SHARDS_MAX];
    struct loop *loops[SHARDS_MAX]; /* theirs */
    unsigned n_shards;
    unsigned pending; /* shards that have not answered yet */
    struct dev_core *devices;
    struct dev_boot *boot; /**< NULL: bootstrap is off */
    struct camp_engine *campaigns;
    struct camp_images *images;
    struct camp_downloads *downloads;
    struct rest *rest;
    int64_t
        account; /* the first one: owner of the configured authorities and of plain CoAP devices */
    char coap[ADDRESS_MAX], coaps[ADDRESS_MAX], bootstrap[ADDRESS_MAX], run_dir[DR_PATH_MAX];
    struct loop_signal on_term, on_int, on_hup;
    bool started, stopping, stop_wanted;
    char lwm2m_uri[CAMP_BASE_MAX + 1], bootstrap_uri[CAMP_BASE_MAX + 1];
    unsigned renewing; /* shards that have not answered yet */
};

/* ---- ports (ports.c) ---- */

/**
 * Two sockets a shard for @p a; off: nothing.
 * @param port_at  where in struct shard they go
 * @param text     gets what was bound, ADDRESS_MAX
 * @retval DR_ERR_IN_USE, DR_ERR_IO  with s->reterr under @p key
 */
DR_CHECK dr_err_t srv_ports_open(struct srv *s, const char *key, const struct srv_addr *a,
                                 size_t port_at, char *text);
/** Give the sockets to an engine, on its loop; those that it took are gone from @p port. */
DR_CHECK dr_err_t srv_port_adopt(struct cx_engine *e, struct srv_port *port, bool secure);
/** Close what no engine has. */
void srv_port_close(struct srv_port *port);

/** "coaps://host:port" of a bound address; "" when there is none that devices could be given. */
void srv_uri_of(const struct srv *s, const char *scheme, const struct srv_addr *a,
                const char *bound, char out[CAMP_BASE_MAX + 1]);
/** Is there anything that bootstrap could send devices to? */
bool srv_boots(const struct srv_config *c);
/** s->lwm2m_uri and s->bootstrap_uri, after the ports are open. */
void srv_make_uris(struct srv *s);

/* ---- what devices are shown, and which of them are trusted (security.c) ---- */

/** s->trust and s->issuer. Anchors that the configuration names belong to the first account. */
DR_CHECK dr_err_t srv_make_trust(struct srv *s);
/** Of the LwM2M port; fills s->server_ca. @param ret  owned by the caller */
DR_CHECK dr_err_t srv_security_new(struct srv *s, struct cx_security **ret);
/** Of the bootstrap port. */
DR_CHECK dr_err_t srv_boot_security_new(const struct srv *s, struct cx_security **ret);
/** For dev_boot_config: a certificate with a fresh key, on the pool. @p data is the server. */
dr_err_t srv_boot_issue(void *data, const struct dev_boot_subject *subject,
                        struct dev_boot_issued *ret);
/** For dev_boot_config: what a verified leaf stands for. */
dr_err_t srv_boot_identify(void *data, uint64_t anchor_tag, const uint8_t *leaf_der, size_t len,
                           struct dev_boot_cert *ret);
