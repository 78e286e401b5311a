/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/route.h"

#include <string.h>

#include "base/loop.h"

bool dev_route_segment(const struct cx_pdu *pdu, unsigned i, struct cx_opt *ret)
{
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;

    while (cx_opt_next(&it, &opt) && opt.num <= CX_OPT_URI_PATH) {
        if (opt.num == CX_OPT_URI_PATH && i-- == 0) {
            *ret = opt;
            return true;
        }
    }
    return false;
}

static struct dev_route *find(const struct dev_routes *routes, const void *prefix, size_t len)
{
    for (unsigned i = 0; i < routes->n; i++) {
        const struct dev_route *r = &routes->items[i];
        if (strlen(r->prefix) == len && memcmp(r->prefix, prefix, len) == 0) {
            return (struct dev_route *)(uintptr_t)r;
        }
    }
    return NULL;
}

dr_err_t dev_routes_add(struct dev_routes *routes, const char *prefix, dev_route_fn *fn, void *ctx)
{
    dr_assert(routes != NULL && prefix != NULL && fn != NULL);
    size_t len = strlen(prefix);

    if (len == 0 || len > DEV_ROUTE_PREFIX_MAX || strchr(prefix, '/') != NULL) {
        return DR_ERR_INVAL;
    }
    if (strcmp(prefix, "rd") == 0 || strcmp(prefix, "dp") == 0 ||
        find(routes, prefix, len) != NULL) {
        return DR_ERR_EXISTS;
    }
    if (routes->n == DEV_ROUTES_MAX) {
        return DR_ERR_LIMIT;
    }
    struct dev_route *r = &routes->items[routes->n++];
    *r = (struct dev_route){.fn = fn, .ctx = ctx};
    memcpy(r->prefix, prefix, len + 1);
    return DR_OK;
}

bool dev_routes_run(const struct dev_routes *routes, const struct dev_route_req *req)
{
    dr_assert(routes != NULL && req != NULL && req->to.home != NULL);
    struct cx_opt first;

    if (!dev_route_segment(req->pdu, 0, &first)) {
        return false;
    }
    const struct dev_route *r = find(routes, first.val, first.len);
    if (r != NULL) {
        r->fn(r->ctx, req);
    }
    return r != NULL;
}

void dev_route_answer(const struct dev_route_to *to, const struct cx_reply *reply)
{
    dr_assert(to != NULL && reply != NULL);
    loop_assert_current(to->home->loop);
    if (to->home->engine != NULL) {
        (void)cx_answer(to->home->engine, to->exchange, reply); /* a peer that has gone */
    }
}

void dev_route_refuse(const struct dev_route_to *to, uint8_t code)
{
    const struct cx_reply reply = {.code = code};

    dev_route_answer(to, &reply);
}

void dev_route_later(const struct dev_route_to *to, uint32_t seconds)
{
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint(CX_OPT_MAX_AGE, seconds, buf);
    const struct cx_reply reply = {.code = CX_UNAVAILABLE, .opts = &opt, .n_opts = 1};

    dev_route_answer(to, &reply);
}

void dev_route_forget(const struct dev_route_to *to)
{
    dr_assert(to != NULL);
    loop_assert_current(to->home->loop);
    if (to->home->engine != NULL) {
        cx_forget(to->home->engine, to->exchange);
    }
}
