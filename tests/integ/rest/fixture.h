/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/fixture.h
 * @brief rest/ on loopback with a database in a temporary folder and the fake devices core.
 */
#pragma once

#include <stdint.h>

#include "rest/rest.h"
#include "tests/integ/rest/client.h"
#include "tests/integ/rest/fake_dev.h"

extern struct loop *fx_loop;
extern struct db *fx_db;
extern struct rest *fx_rest;
extern struct reply *fx_reply;
extern char fx_dir[64];
extern char fx_admin[128], fx_reader[128],
    fx_foreign[128]; /**< API keys; the last of another account */
extern int64_t fx_account, fx_admin_id, fx_reader_id;

struct db_job;
struct db_writer;

void fx_setup(void);
/** Change @p config (may be NULL) before rest starts. */
void fx_setup_with(void (*change)(struct rest_config *config));
void fx_teardown(void);
/** Run a function on the store thread and wait. */
void fx_write(dr_err_t (*fn)(struct db_writer *w, void *data), void *data);
/** A call with a key; the answer is in fx_reply. @return status */
int fx_call(const char *key, const char *method, const char *target, const char *body);
/** Open a connection and send a request without waiting. */
struct client *fx_begin(const char *key, const char *method, const char *target);
void fx_end(struct client *c);
/** Is @p text part of the last body? */
int fx_has(const char *text);
/** Value of the string member @p name in the last body (the first found); a static copy. */
const char *fx_str(const char *name);
