/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/rest/fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/loop.h"
#include "db/account.h"
#include "db/db.h"
#include "rest/apikey.h"

struct loop *fx_loop;
struct db *fx_db;
struct rest *fx_rest;
struct reply *fx_reply;
char fx_dir[64];
char fx_admin[128], fx_reader[128], fx_foreign[128];
int64_t fx_account, fx_admin_id, fx_reader_id;

struct write {
    struct db_job job;
    dr_err_t (*fn)(struct db_writer *w, void *data);
    void *data;
    bool done;
    dr_err_t err;
};

static dr_err_t write_run(struct db_writer *w, struct db_job *job)
{
    struct write *x = DR_CONTAINER_OF(job, struct write, job);

    return x->fn(w, x->data);
}

static void write_done(struct db_job *job, dr_err_t err)
{
    struct write *x = DR_CONTAINER_OF(job, struct write, job);

    x->done = true;
    x->err = err;
}

void fx_write(dr_err_t (*fn)(struct db_writer *w, void *data), void *data)
{
    struct write x = {
        .job = {.home = fx_loop, .run = write_run, .done = write_done}, .fn = fn, .data = data};

    ck_assert_int_eq(db_submit(fx_db, &x.job), DR_OK);
    for (int i = 0; i < 60000 && !x.done; i++) {
        client_run(fx_loop, 1);
    }
    ck_assert(x.done);
    ck_assert_msg(x.err == DR_OK, "%s", dr_err_name(x.err));
}

static int64_t other_account;
static struct dr_idgen ids;

static dr_err_t key_insert(struct db_writer *w, int64_t account, const char *name,
                           enum db_role role, char *text, int64_t *ret_id)
{
    struct db_apikey row = {.id = dr_id_new(&ids),
                            .account = account,
                            .name = name,
                            .role = role,
                            .active = true,
                            .groups = "[]",
                            .updated_at = dr_wall_ms()};

    rest_apikey_make(account, row.id, text, row.secret_hash);
    *ret_id = row.id;
    return db_apikey_insert(w, &row);
}

static dr_err_t seed(struct db_writer *w, void *data)
{
    int64_t id = 0;
    (void)data;
    struct db_account a = {.id = fx_account,
                           .display_name = "Test",
                           .status = "ACTIVE",
                           .tier = "1",
                           .end_market = "test",
                           .fields = "{}",
                           .created_at = dr_wall_ms(),
                           .updated_at = dr_wall_ms()};
    dr_err_t err = db_account_insert(w, &a);
    a.id = other_account;
    err = err == DR_OK ? db_account_insert(w, &a) : err;
    err = err == DR_OK ? key_insert(w, fx_account, "admin", DB_ROLE_ADMIN, fx_admin, &fx_admin_id)
                       : err;
    err = err == DR_OK
              ? key_insert(w, fx_account, "reader", DB_ROLE_READONLY, fx_reader, &fx_reader_id)
              : err;
    return err == DR_OK ? key_insert(w, other_account, "other", DB_ROLE_ADMIN, fx_foreign, &id)
                        : err;
}

void fx_setup_with(void (*change)(struct rest_config *config))
{
    struct dr_errinfo info = {0};

    (void)snprintf(fx_dir, sizeof fx_dir, "/tmp/rest-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fx_dir));
    ck_assert_int_eq(loop_new("control", &fx_loop), DR_OK);
    const struct db_config dbc = {.dir = fx_dir, .sync = DB_SYNC_OFF};
    ck_assert_msg(db_open(&dbc, &fx_db, &info) == DR_OK, "%s", info.text);
    fake_reset(fx_loop, fx_db);
    ck_assert_int_eq(dr_idgen_init(&ids, NULL, NULL), DR_OK);
    fx_account = dr_id_new(&ids);
    other_account = dr_id_new(&ids);
    fx_write(seed, NULL);
    struct rest_config config = {.control = fx_loop,
                                 .db = fx_db,
                                 .devices = fake_core(),
                                 .data_dir = fx_dir,
                                 .version = "0.0-test",
                                 .poll_hold_ms = 300};
    if (change != NULL) {
        change(&config);
    }
    const struct rest_listen listen = {.http = "127.0.0.1:0", .metrics = "127.0.0.1:0"};
    ck_assert_int_eq(rest_new(&config, &fx_rest), DR_OK);
    ck_assert_msg(rest_listen(fx_rest, &listen, &info) == DR_OK, "%s", info.text);
    fx_reply = calloc(1, sizeof *fx_reply);
    ck_assert_ptr_nonnull(fx_reply);
}

void fx_setup(void)
{
    fx_setup_with(NULL);
}

static void closed(void *data)
{
    *(bool *)data = true;
}

void fx_teardown(void)
{
    bool done = false;

    rest_close(fx_rest, closed, &done);
    for (int i = 0; i < 10000 && !done; i++) {
        client_run(fx_loop, 1);
    }
    ck_assert(done);
    fx_rest = rest_free(fx_rest);
    fx_db = db_close(fx_db);
    client_run(fx_loop, 5);
    dr_idgen_fini(&ids);
    fx_loop = loop_free(fx_loop);
    free(fx_reply);
    DIR *dir = opendir(fx_dir);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL; e = readdir(dir)) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", fx_dir, e->d_name);
        (void)unlink(path);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    (void)rmdir(fx_dir);
}

int fx_call(const char *key, const char *method, const char *target, const char *body)
{
    char headers[512];

    (void)snprintf(headers, sizeof headers, "%s%s%s", key == NULL ? "" : "Authorization: Bearer ",
                   key == NULL ? "" : key, key == NULL ? "" : "\r\n");
    ck_assert_msg(
        client_call(fx_loop, rest_address(fx_rest), method, target, headers, body, fx_reply),
        "no answer to %s %s", method, target);
    ck_assert_ptr_nonnull(reply_header(fx_reply, "X-Request-Id"));
    return fx_reply->status;
}

struct client *fx_begin(const char *key, const char *method, const char *target)
{
    struct client *c = calloc(1, sizeof *c);

    ck_assert_ptr_nonnull(c);
    client_open(c, fx_loop, rest_address(fx_rest));
    client_printf(c, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", method,
                  target, key);
    client_run(fx_loop, 60);
    return c;
}

void fx_end(struct client *c)
{
    client_close(c);
    free(c);
}

int fx_has(const char *text)
{
    return strstr(fx_reply->body, text) != NULL;
}

const char *fx_str(const char *name)
{
    static char value[512];
    char key[80];

    (void)snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *p = strstr(fx_reply->body, key);
    ck_assert_msg(p != NULL, "no member %s in %s", name, fx_reply->body);
    p += strlen(key);
    size_t n = strcspn(p, "\"");
    ck_assert_uint_lt(n, sizeof value);
    memcpy(value, p, n);
    value[n] = '\0';
    return value;
}
