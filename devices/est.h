/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/est.h
 * @brief Enrollment over CoAP as Pelion clients do it: POST /est/sen and /est/NAME/sen.
 *
 * A request is a PKCS#10 for a key that the device has made. The answer is 2.04 with one byte of
 * version (1), one of count, and each certificate behind its length in two bytes; the device's own
 * comes first. It is fetched by block, with POSTs that have an empty body. The same handler serves
 * LwM2M associations and bootstrap associations.
 *
 * Layer: devices.  Threads: requests on the loop of their home; signing on a reading thread.
 * Memory: some 4 KiB for a request under way.  Limits: DEV_EST_MAX, DEV_EST_HOUR_MAX, CERT_CSR_MAX.
 * Security: the sender is who its credential says; names in the request may only agree with that.
 * A certificate is for the row of the device, so one that was deleted gets none.
 * Spec: RFC2986, RFC7030#4.2 (subject matter, not its format).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "devices/route.h"

struct db;
struct dev_est;
struct dev_issuer;

/** Requests under way, of all devices; above it 5.03. */
#define DEV_EST_MAX      500
/** Certificates of one device in an hour; above it 5.03. */
#define DEV_EST_HOUR_MAX 20
/** Certificate that the device uses towards this server. */
#define DEV_EST_LWM2M    "LWM2M"
/** Characters of the name of another certificate. */
#define DEV_EST_NAME_MAX 31

/** @param issuer  borrowed, like @p db */
DR_CHECK dr_err_t dev_est_new(struct dev_issuer *issuer, struct db *db, struct dev_est **ret);
/** After the loops have stopped and the database is closed. NULL is fine. Returns NULL. */
struct dev_est *dev_est_free(struct dev_est *e);

/** Pure: the certificate that a path asks for: "est/sen" is DEV_EST_LWM2M, "est/NAME/sen" NAME.
 * False: neither. */
bool dev_est_name(const struct cx_pdu *pdu, char out[DEV_EST_NAME_MAX + 1]);

/** For dev_core_route() and dev_boot_route() with the prefix "est" and the struct dev_est. */
void dev_est_request(void *ctx, const struct dev_route_req *req);
