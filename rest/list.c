/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/list.h"

#include <string.h>

#include "rest/rest_priv.h"

bool rest_list_row(struct rest_list_op *op)
{
    dr_assert(op != NULL);
    if (op->rows == op->page.limit) {
        op->has_more = true; /* the one row more that was asked for */
        return false;
    }
    op->rows++;
    return true;
}

static dr_err_t list_read(struct db_reader *r, struct db_read *read)
{
    struct rest_list_op *op = DR_CONTAINER_OF(read, struct rest_list_op, read);
    struct rest_json j = rest_json_of(&op->out);

    rest_list_begin(&j, &op->page);
    dr_err_t err = op->kind->rows(r, op);
    if (err != DR_OK) {
        return err;
    }
    if (op->page.after == 0 && !op->has_more) {
        op->total = op->rows; /* the whole list is here */
    } else if (op->total < 0) {
        err = op->kind->count(r, op, &op->total);
        op->counted = true;
    }
    rest_list_end(&j, op->has_more, op->total);
    return err != DR_OK ? err : dr_dynbuf_err(&op->out);
}

static void list_done(struct db_read *read, dr_err_t err)
{
    struct rest_list_op *op = DR_CONTAINER_OF(read, struct rest_list_op, read);

    if (err == DR_OK) {
        if (op->counted && op->count_key != 0) {
            rest_count_put(rest_of(op->req), op->count_key, op->total);
        }
        rest_answer_json(op->req, 200, &op->out);
        return;
    }
    dr_dynbuf_fini(&op->out);
    if (err == DR_ERR_INVAL || err == DR_ERR_LIMIT) {
        struct rest_field_errors errors = {0};
        rest_field_error_add(&errors, op->info.field, "%.90s", op->info.text);
        rest_answer_fields(op->req, &errors, "BAD_REQUEST");
    } else {
        rest_answer_err(op->req, err);
    }
}

/* Names account and conditions; never 0. */
static uint64_t count_key(const struct rest_list_op *op)
{
    const struct dr_hash_key *key = &rest_of(op->req)->hash_key;
    uint64_t h = dr_siphash(key, &op->query.account, sizeof op->query.account);

    h = dr_mix64(h + op->kind->list);
    for (size_t i = 0; i < op->query.n_conds; i++) {
        const struct db_cond *c = &op->query.conds[i];
        h = dr_mix64(h ^ dr_siphash(key, c->field, strlen(c->field)) ^ (uint64_t)c->op);
        for (size_t k = 0; k < c->n_values; k++) {
            h = dr_mix64(h ^ dr_siphash(key, c->values[k], strlen(c->values[k])));
        }
    }
    return h | 1;
}

static bool parse(struct rest_list_op *op)
{
    struct rest_req *req = op->req;
    struct rest_field_errors errors = {0};
    dr_err_t err = rest_page_parse(&req->target, false, &op->page, &errors);

    if (err == DR_OK) {
        err = rest_filter_parse(&req->target, op->kind->fields, op->kind->n_fields, &req->arena,
                                &op->filter, &errors);
    }
    if (err == DR_OK && op->kind->conditions != NULL && !op->kind->conditions(req, &op->filter)) {
        return false;
    }
    if (err == DR_OK) {
        struct dr_errinfo info = {0};
        err = db_conds_check(op->kind->list, op->filter.conds, op->filter.count, &info);
        if (err == DR_ERR_INVAL || err == DR_ERR_LIMIT) {
            rest_field_error_add(&errors, info.field, "%.90s", info.text);
            err = DR_ERR_INVAL;
        }
    }
    if (err == DR_ERR_INVAL) {
        rest_answer_fields(req, &errors, "BAD_REQUEST");
    } else if (err != DR_OK) {
        rest_answer_err(req, err);
    }
    return err == DR_OK;
}

void rest_list_start(struct rest_req *req, const struct rest_list_kind *kind)
{
    dr_assert(req != NULL && kind != NULL);
    struct rest_list_op *op = rest_arena_alloc(&req->arena, sizeof *op);
    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return;
    }
    op->req = req;
    op->kind = kind;
    op->total = -1;
    dr_dynbuf_init(&op->out, REST_ANSWER_MAX);
    if (!parse(op)) {
        return;
    }
    op->query = (struct db_query){
        .account = req->who.account,
        .conds = op->filter.conds,
        .n_conds = op->filter.count,
        .order = op->page.desc ? DB_DESC : DB_ASC,
        .after = op->page.after,
        .limit = op->page.limit + 1,
    };
    if (kind->count_is_cheap != NULL && !kind->count_is_cheap(&op->query)) {
        op->count_key = count_key(op);
        op->total = rest_count_get(rest_of(req), op->count_key);
    }
    rest_read_start(req, &op->read, list_read, list_done);
}
