/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/fw_priv.h
 * @brief What the files of the update engine need of each other.
 *
 * Layer: client/core, private.  Threads: one loop.  Memory: in struct cl_fw.  Limits: none.
 * Security: none of its own.
 */
#pragma once

#include "client/core/fw.h"

/* keys in the store; see the top of fw.c */
#define CL_FW_KEY_STATE  (CL_KEY_OWN | 0x465701)
#define CL_FW_KEY_SOURCE (CL_KEY_OWN | 0x465702)
#define CL_FW_KEY_HEADER (CL_KEY_OWN | 0x465703)
#define CL_FW_KEY_LABEL  (CL_KEY_OWN | 0x465710) /**< + slot */
#define CL_FW_LABEL_LEN  (CL_HASH_LEN + 4)

/* fw.c */

bool cl_fw_by_manifest(const struct cl_fw *fw);
/** Something is under way. */
bool cl_fw_busy(const struct cl_fw *fw);
/** Put fw->saved into the store. */
CL_CHECK cl_err_t cl_fw_save(struct cl_fw *fw);
/** Forget the last update; nothing is stored yet. */
void cl_fw_begin(struct cl_fw *fw, enum cl_fw_origin origin);
/** Store a state, then tell it. */
void cl_fw_enter(struct cl_fw *fw, enum cl_fw_state state);
/** Store and tell a result; the idle state follows once it has arrived. */
void cl_fw_fail(struct cl_fw *fw, enum cl_result res);
void cl_fw_fail_as(struct cl_fw *fw, enum cl_result res, uint8_t result5);
/** Check fw->source as a manifest; fills fw->manifest. */
CL_CHECK enum cl_result cl_fw_check(struct cl_fw *fw);

/* fw_get.c */

/** Begin to receive what fw->saved names. */
void cl_fw_inst_begin(struct cl_fw *fw);
/** The next bytes of the image. Fails the update when they are refused. */
CL_CHECK cl_err_t cl_fw_take_bytes(struct cl_fw *fw, const uint8_t *data, size_t len);
/** All bytes came: check and seal, or fail. */
void cl_fw_downloaded(struct cl_fw *fw);
/** The step of the downloading state. @return as cl_fw_step() */
uint32_t cl_fw_get(struct cl_fw *fw);
