/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/fake_dev.h
 * @brief A devices core for tests of rest/: remembers what it was asked, answers what it is told
 * to, and publishes what the test makes up.
 */
#pragma once

#include "devices/dev.h"

struct db;

struct fake {
    struct loop *loop;
    struct db *db;
    /* what the next operations end with, one turn later */
    dr_err_t request_err, subscribe_err, value_err, links_err;
    /* what was asked */
    int requests, subscribes, unsubscribes, presubs, deletes, credentials;
    char async_id[64], uri[256], content_type[160], accept[160], payload[256], path[256];
    enum dev_method method;
    int retry;
    int64_t expiry_s, device, key;
    size_t n_presubs;
    char presub_endpoint[80], presub_path[140];
    char identity[260];
    int64_t delivered[64];
    int n_delivered;
    unsigned listeners;
    bool watched;
};

extern struct fake fake;
void fake_reset(struct loop *loop, struct db *db);
/** A core to pass around. */
struct dev_core *fake_core(void);
void fake_publish(const struct dev_event *ev);
