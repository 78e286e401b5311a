/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/enrol.h
 * @brief A key of our own and a certificate for it by EST over CoAP.
 *
 * Layer: client/core over Mbed TLS.  Threads: one loop.  Memory: in struct cl_client.
 * Limits: P-256; certificates of CL_CERT_MAX bytes.
 * Security: the private key is made here and never leaves the device.
 * Spec: RFC 9148; Pelion's answer form.
 */
#pragma once

#include "client/core/client.h"

/** Runs once: later, or at once when the request cannot even be made. */
typedef void cl_enrol_cb(struct cl_client *cl, cl_err_t err);

/**
 * Make a key, ask for a certificate at /est/sen of the open association, and put both into the
 * server account.
 */
void cl_enrol(struct cl_client *cl, cl_enrol_cb *cb);

/**
 * The device's certificate in an answer: DER alone, or Pelion's list.
 * @retval CL_ERR_INVAL  neither
 */
CL_CHECK cl_err_t cl_enrol_certificate(struct cl_bytes answer, struct cl_bytes *ret);
