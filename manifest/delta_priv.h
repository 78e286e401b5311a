/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  manifest/delta_priv.h
 * @brief What both sides of the delta container know.
 *
 * Layer: manifest.  Threads, Memory: none.  Limits: none.  Security: none.  Spec: none.
 */
#pragma once

#define MANIFEST_DELTA_MAGIC     "PELION/BSDIFF001"
#define MANIFEST_DELTA_MAGIC_LEN 16
