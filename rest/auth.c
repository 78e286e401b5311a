/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/auth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "db/account.h"
#include "rest/rest_priv.h"

/* A login is noted in the database at most so often for one key. */
#define LOGIN_NOTE_MS (15 * 60 * 1000)

/* ---- memory ---- */

static size_t slot(int64_t key)
{
    return dr_mix32((uint64_t)key) % REST_AUTH_CACHE_MAX;
}

bool rest_auth_cache_get(const struct rest_auth_cache *cache, int64_t account, int64_t key,
                         const uint8_t hash[REST_APIKEY_HASH_LEN], uint64_t now_ms,
                         struct rest_who *ret)
{
    dr_assert(cache != NULL && ret != NULL);
    const struct rest_auth_entry *e = &cache->entry[slot(key)];

    if (e->who.account == 0 || e->who.account != account || e->who.key != key ||
        e->until_ms <= now_ms || !dr_ct_equal(e->hash, hash, REST_APIKEY_HASH_LEN)) {
        return false;
    }
    *ret = e->who;
    return true;
}

void rest_auth_cache_put(struct rest_auth_cache *cache, const struct rest_who *who,
                         const uint8_t hash[REST_APIKEY_HASH_LEN], uint64_t now_ms)
{
    dr_assert(cache != NULL && who != NULL && who->account != 0);
    struct rest_auth_entry *e = &cache->entry[slot(who->key)];

    e->who = *who;
    e->until_ms = now_ms + REST_AUTH_CACHE_MS;
    memcpy(e->hash, hash, REST_APIKEY_HASH_LEN);
}

void rest_auth_cache_drop(struct rest_auth_cache *cache, int64_t key)
{
    dr_assert(cache != NULL);
    struct rest_auth_entry *e = &cache->entry[slot(key)];

    cache->drops++;
    if (e->who.key == key) {
        memset(e, 0, sizeof *e);
    }
}

/* ---- check ---- */

struct check {
    struct db_read read;
    struct rest_req *req;
    int64_t account, key;
    uint64_t drops; /* of the memory when the check began */
    uint8_t hash[REST_APIKEY_HASH_LEN];
    bool matches, active, admin;
    int64_t last_login_at;
};

struct login {
    struct db_job job;
    int64_t account, key, now_ms;
};

const char *rest_auth_token(const char *header, size_t *ret_len)
{
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0) {
        return NULL;
    }
    const char *p = header + 7 + strspn(header + 7, " ");
    *ret_len = strcspn(p, " ");
    return p[*ret_len] == '\0' && *ret_len != 0 ? p : NULL;
}

const char *rest_auth_protocol_token(const char *header, size_t *ret_len)
{
    static const char prefix[] = "pelion_";

    while (header != NULL && *header != '\0') {
        header += strspn(header, " \t,");
        size_t len = strcspn(header, " \t,");
        if (len > sizeof prefix - 1 && memcmp(header, prefix, sizeof prefix - 1) == 0) {
            *ret_len = len - (sizeof prefix - 1);
            return header + sizeof prefix - 1;
        }
        header += len;
    }
    return NULL;
}

static void refuse(struct rest_req *req, const char *why)
{
    DR_LOG_LIMITED(DR_LOG_WARNING, "rest", 2, "request '%s' refused: %s", req->id, why);
    rest_answer_error(req, 401, "invalid_apikey",
                      req->target.v2 ? "UNAUTHORIZED" : "a valid API key is needed");
}

/* The key is known: may it do this? */
static void permit(struct rest_req *req)
{
    if (req->match.route->role == REST_WRITE && !req->who.admin) {
        rest_answer_error(req, 403, NULL,
                          req->target.v2 ? "FORBIDDEN" : "the API key may only read");
    }
}

static dr_err_t row_seen(void *data, const struct db_apikey *row)
{
    struct check *c = data;

    c->matches =
        row->account == c->account && dr_ct_equal(row->secret_hash, c->hash, REST_APIKEY_HASH_LEN);
    c->active = row->active;
    c->admin = row->role == DB_ROLE_ADMIN;
    c->last_login_at = row->last_login_at;
    return DR_OK;
}

static dr_err_t check_read(struct db_reader *r, struct db_read *read)
{
    struct check *c = DR_CONTAINER_OF(read, struct check, read);

    return db_apikey_find(r, c->key, row_seen, c);
}

static dr_err_t login_run(struct db_writer *w, struct db_job *job)
{
    struct login *l = DR_CONTAINER_OF(job, struct login, job);

    return db_apikey_login(w, l->account, l->key, l->now_ms);
}

static void login_done(struct db_job *job, dr_err_t err)
{
    if (err != DR_OK) {
        dr_log(DR_LOG_DEBUG, "rest", "cannot note a login: %s", dr_err_str(err));
    }
    free(DR_CONTAINER_OF(job, struct login, job));
}

static void login_note(struct rest *rest, const struct check *c)
{
    int64_t now = dr_wall_ms();
    struct login *l = NULL;

    if (now - c->last_login_at < LOGIN_NOTE_MS || (l = calloc(1, sizeof *l)) == NULL) {
        return;
    }
    *l = (struct login){
        .job = {.home = rest->loop, .run = login_run, .done = login_done, .lane = DB_LANE_BEHIND},
        .account = c->account,
        .key = c->key,
        .now_ms = now};
    if (db_submit(rest->db, &l->job) != DR_OK) {
        free(l);
    }
}

static void check_done(struct db_read *read, dr_err_t err)
{
    struct check *c = DR_CONTAINER_OF(read, struct check, read);
    struct rest_req *req = c->req;
    struct rest *rest = req->app;

    req->in_handler = true; /* the answer waits for rest_http_authorised() */
    if (err == DR_ERR_NOT_FOUND || (err == DR_OK && !c->matches)) {
        refuse(req, "unknown key");
    } else if (err != DR_OK) {
        rest_answer_err(req, err);
    } else if (!c->active) {
        refuse(req, "inactive key");
    } else {
        req->who = (struct rest_who){.account = c->account, .key = c->key, .admin = c->admin};
        if (c->drops == rest->auth.drops) {
            rest_auth_cache_put(&rest->auth, &req->who, c->hash, loop_now_ms(rest->loop));
        }
        login_note(rest, c);
        permit(req);
    }
    req->in_handler = false;
    rest_http_authorised(req);
}

bool rest_auth_start(struct rest_req *req)
{
    dr_assert(req != NULL && req->app != NULL);
    struct rest *rest = req->app;
    size_t len = 0;
    int64_t account = 0;
    int64_t key = 0;
    uint8_t hash[REST_APIKEY_HASH_LEN];
    const char *token = rest_auth_token(rest_req_header(req, "Authorization"), &len);

    if (token == NULL && rest_req_header(req, "Authorization") == NULL) {
        token = rest_auth_protocol_token(rest_req_header(req, "Sec-WebSocket-Protocol"), &len);
    }
    if (token == NULL) {
        refuse(req, "no key");
        return true;
    }
    if (len != REST_APIKEY_LEN || rest_apikey_parse(token, len, &account, &key, hash) != DR_OK) {
        refuse(req, "malformed key");
        return true;
    }
    if (rest_auth_cache_get(&rest->auth, account, key, hash, loop_now_ms(rest->loop), &req->who)) {
        permit(req);
        return true;
    }
    struct check *c = rest_arena_alloc(&req->arena, sizeof *c);
    if (c == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return true;
    }
    *c = (struct check){.req = req, .account = account, .key = key, .drops = rest->auth.drops};
    memcpy(c->hash, hash, sizeof c->hash);
    c->read = (struct db_read){.home = rest->loop, .fn = check_read, .done = check_done};
    dr_err_t err = db_read_start(rest->db, &c->read);
    if (err != DR_OK) {
        rest_answer_err(req, err);
        return true;
    }
    return false;
}
