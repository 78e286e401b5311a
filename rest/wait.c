/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/wait.h"

#include <string.h>

#include "rest/rest_priv.h"

dr_err_t rest_wait_start(struct rest *rest, struct rest_wait *wait)
{
    dr_assert(rest != NULL && wait != NULL && wait->fn != NULL && wait->async_id != NULL);
    if (rest->n_waits == REST_WAITS_MAX) {
        return DR_ERR_LIMIT;
    }
    rest->n_waits++;
    dr_list_push_back(&rest->waits, &wait->node);
    return DR_OK;
}

void rest_wait_cancel(struct rest *rest, struct rest_wait *wait)
{
    dr_assert(rest != NULL && wait != NULL);
    if (dr_list_linked(&wait->node)) {
        dr_list_remove(&wait->node);
        rest->n_waits--;
    }
}

bool rest_wait_take(struct rest *rest, const struct dev_event *ev, struct dr_bytes json)
{
    dr_assert(rest != NULL && ev != NULL && ev->async_id != NULL);
    DR_LIST_EACH(it, &rest->waits)
    {
        struct rest_wait *wait = DR_CONTAINER_OF(it, struct rest_wait, node);
        if (wait->account == ev->account && wait->key == ev->owner_key &&
            strcmp(wait->async_id, ev->async_id) == 0) {
            rest_wait_cancel(rest, wait);
            wait->fn(wait, ev, json);
            return true;
        }
    }
    return false;
}
