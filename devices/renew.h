/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/renew.h
 * @brief Renewal of a certificate of a device on an operator's word (resource 35011/0/27002).
 *
 * A renewal is a row ("certificate enrollment") and a durable request to the device: its name in a
 * small list. The device makes a new key, has it certified (devices/est.h) and answers late, with a
 * status as text; that answer completes the row, also after a restart.
 *
 * Layer: devices.  Threads: control loop.  Memory: operations are the caller's; one small block for
 * each answer under way.  Limits: one renewal of a device at a time; DEV_EST_NAME_MAX.
 * Security: every function takes the account.  Spec: Pelion Certificate Enrollment.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/db.h"
#include "devices/dev.h"
#include "devices/est.h"

struct dev_renewals;
struct loop;

#define DEV_RENEW_PATH     "/35011/0/27002"
#define DEV_RENEW_BODY_MAX (4 + DEV_EST_NAME_MAX + 1)

/** Become a sink of @p core: before dev_core_start(). */
DR_CHECK dr_err_t dev_renewals_new(struct loop *control, struct dev_core *core, struct db *db,
                                   struct dev_renewals **ret);
/** After the core tells nothing any more and the database is closed. NULL is fine. Returns NULL. */
struct dev_renewals *dev_renewals_free(struct dev_renewals *r);

/** One renewal; in the caller's memory until cb, which is the last touch. */
struct dev_renew {
    int64_t account, device;
    const char *name; /**< "LWM2M", or another certificate of the device; borrowed until cb */
    int64_t id;       /**< out: of the row */
    /**
     * DR_OK: the row is on disk and the request is on its way. DR_ERR_NOT_FOUND: no such device.
     * DR_ERR_EXISTS: one is under way. DR_ERR_ASLEEP: it is not registered, or cannot renew. What
     * the store refuses with.
     */
    void (*cb)(struct dev_renew *op, dr_err_t err);
    void *data;

    struct dev_renewals *renewals; /**< its own, like all below */
    struct db_job job;
    struct dev_request request;
    char async_id[DEV_ASYNC_ID_MAX + 1];
    uint8_t body[DEV_RENEW_BODY_MAX];
    dr_err_t err;
};
/** @retval DR_ERR_INVAL  no name of a certificate. @retval DR_ERR_BUSY, DR_ERR_CANCELED */
DR_CHECK dr_err_t dev_renew_start(struct dev_renewals *r, struct dev_renew *op);

/* ---- pure ---- */

/**
 * What is POSTed for certificate @p name: type 1 (name) and length, two bytes each, the name and a
 * NUL.
 * @param out  room for DEV_RENEW_BODY_MAX
 * @return its length; 0: empty, longer than DEV_EST_NAME_MAX, or no printable ASCII
 */
size_t dev_renew_body(const char *name, uint8_t *out);
/** What a device's status stands for, as text; "success" is 0. */
const char *dev_renew_status(const char *text, size_t len);
