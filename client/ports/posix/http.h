/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/http.h
 * @brief Downloads by plain HTTP/1.1: GET with Range, one at a time, without waiting.
 *
 * Layer: client port.  Threads: one.  Memory: static.
 * Limits: HTTP_HEAD_MAX bytes of an answer's head; no redirects, no chunks, no TLS; resolving a
 * name waits for the resolver. Security: the payload's signature is what counts; the server is not
 * authenticated. Spec: RFC 9110 14.2 (Range), RFC 9112.
 */
#pragma once

#include "client/core/update.h"

#define HTTP_HEAD_MAX  2048
#define HTTP_SILENT_MS 15000 /**< a server that sends nothing for so long is given up */

/** The way to fetch http:// addresses for @p update. */
const struct cl_fetcher *http_fetcher(struct cl_update *update);
/** Read what is there. @return when to call again, or CL_NEVER when nothing is fetched */
uint64_t http_poll(uint64_t now_ms);
