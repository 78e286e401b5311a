/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/firmware.h
 * @brief What the services of images and manifests share: absolute addresses, forms, downloads.
 *
 * Layer: rest.  Threads: the control loop.  Memory: results live in the request's arena.
 * Limits: REST_FORM_*_MAX.  Security: the Host header is checked before it is repeated.
 * Spec: RFC9110#14.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "db/firmware.h"
#include "rest/filter.h"
#include "rest/one.h"
#include "rest/req.h"

/** Octets of the parts `name` and `description`. */
#define REST_FORM_NAME_MAX        128
#define REST_FORM_DESCRIPTION_MAX 2000

/** A text part of a form while it comes in. */
struct rest_form_text {
    char text[REST_FORM_DESCRIPTION_MAX + 1];
    size_t len, max;
    bool seen, too_long;
};
void rest_form_put(struct rest_form_text *t, struct dr_bytes bytes);
/** All parts fit and are UTF-8 without NUL? Otherwise answered. */
bool rest_form_check(struct rest_req *req, const struct rest_form_text *name,
                     const struct rest_form_text *description);

/** "https://host:port" as the client knows us; NULL when out of memory. */
const char *rest_base_url(struct rest_req *req);

/** Conditions on `datafile` become conditions on the id that stands in the address. */
bool rest_datafile_conditions(struct rest_req *req, struct rest_filter *filter);

/** 409: the @p noun cannot go, campaign @p campaign needs it. */
void rest_answer_needed(struct rest_one *one, const char *noun, int64_t campaign);

/** A part of a body of @p size bytes, as `Range` and `If-Range` ask for. */
enum rest_range { REST_RANGE_ALL, REST_RANGE_PART, REST_RANGE_NONE };
/** @param ret_at, ret_len  written for REST_RANGE_PART */
enum rest_range rest_range_parse(const char *range, uint64_t size, uint64_t *ret_at,
                                 uint64_t *ret_len);
