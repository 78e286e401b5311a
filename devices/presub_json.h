/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/presub_json.h
 * @brief One pre-subscription as the JSON object of the REST contract, and back.
 *
 * Layer: devices, pure.  Threads: reentrant.  Memory: results are the caller's.
 * Limits: DEV_PRESUBSCRIPTION_PATHS_MAX paths.  Security: reads what we wrote; anything else is an
 * error.  Spec: RFC8259.
 */
#pragma once

#include "devices/core_priv.h"

/** {"endpoint-name":…,"endpoint-type":…,"resource-path":[…]} @retval DR_ERR_TOO_LARGE, DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dev_presub_write(const struct dev_presubscription *p, struct dr_dynbuf *out);
/** @param ret  filled on success; dev_presub_fini() it. @retval DR_ERR_CORRUPT, DR_ERR_NOMEM */
DR_CHECK dr_err_t dev_presub_read(const char *json, struct dev_presub *ret);
void dev_presub_fini(struct dev_presub *p);
