/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/links.h
 * @brief Lists in link format: what a registration, Discover and the bootstrap's Discover show.
 *
 * Layer: client/core.  Threads: one loop.  Memory: caller's buffer.  Limits: none of its own.
 * Security: object 0 shows in the bootstrap's list only, keys never.
 * Spec: RFC 6690, LwM2M 1.1 core 6.2.1, 6.3.3, 6.1.7.3.
 */
#pragma once

#include "client/core/account.h"
#include "client/core/codec.h"

/** Objects and instances for Register. */
void cl_links_register(const struct cl_objects *all, struct cl_out *out);
/**
 * Pelion's form: every resource; those with a resource type and a value carry it, and a standing
 * observation with the two-byte token named in the list.
 * @param first  number of the first such token
 */
void cl_links_pelion(const struct cl_objects *all, struct cl_observers *observers, uint16_t first,
                     uint64_t now_ms, struct cl_out *out);
/** @retval CL_ERR_NOENT, CL_ERR_AUTH  as cl_read() */
CL_CHECK cl_err_t cl_links_discover(const struct cl_objects *all, const struct cl_observers *o,
                                    const struct cl_path *path, struct cl_out *out);
/** For the bootstrap server. @p path of depth 0 or 1. @retval CL_ERR_NOENT  no such object */
CL_CHECK cl_err_t cl_links_bootstrap(const struct cl_objects *all, const struct cl_accounts *a,
                                     const struct cl_path *path, struct cl_out *out);
