/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/http_head.h
 * @brief The head of an HTTP answer: the few fields that a download needs.
 *
 * Layer: client port, pure.  Threads: reentrant.  Memory: none.
 * Limits: what the caller holds; numbers below 2^63.
 * Security: the head is hostile input.  Spec: RFC 9112 4, RFC 9110 8.6, 14.4.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct http_head {
    unsigned status; /**< 100 to 599 */
    bool has_length, has_range;
    bool encoded;    /**< there is a Transfer-Encoding */
    uint64_t length; /**< of the body, with has_length */
    uint64_t from;   /**< first byte of the body in the whole, with has_range; else 0 */
};

/**
 * @param text  status line and fields, each ended by CR LF, all by a zero byte
 * @param ret   untouched on failure
 * @retval false  not HTTP/1.x, or a number that is none
 */
bool http_head_parse(const char *text, struct http_head *ret);
