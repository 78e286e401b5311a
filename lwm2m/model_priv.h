/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/model_priv.h
 * @brief The built-in tables behind lwm2m_models_new(), each in order of (id, version), and taking
 * additions back.
 *
 * Layer: lwm2m, pure.  Threads: constants.  Memory: none.  Limits: none.  Security: none.  Spec:
 * none.
 */
#pragma once

#include <stddef.h>

#include "lwm2m/model.h"

extern const struct lwm2m_obj_def lwm2m_core_objects[];
extern const size_t lwm2m_core_objects_count;
extern const struct lwm2m_obj_def lwm2m_ipso_objects[];
extern const size_t lwm2m_ipso_objects_count;
extern const struct lwm2m_obj_def lwm2m_pelion_objects[];
extern const size_t lwm2m_pelion_objects_count;

/** How much was added so far; what lwm2m_models_rollback() goes back to. */
size_t lwm2m_models_mark(const struct lwm2m_models *models);
/** Take back all that was added since @p mark. */
void lwm2m_models_rollback(struct lwm2m_models *models, size_t mark);
