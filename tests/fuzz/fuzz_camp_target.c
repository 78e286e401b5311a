/* SPDX-License-Identifier: Apache-2.0 */
/* A CoAP message as a request for firmware: what comes out is within its bounds, and a token or id
 * was really there. Input without a CoAP header is taken as an address. */
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "campaigns/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(dr_err_t err, const struct camp_target *t)
{
    if (err != DR_OK) {
        if (err != DR_ERR_PROTO && err != DR_ERR_NOT_FOUND && err != DR_ERR_UNSUPPORTED) {
            abort();
        }
        return;
    }
    size_t len = strlen(t->token);
    if ((len != 0 && len != DB_TOKEN_LEN) || t->image < 0 || (len != 0 && t->image == 0) ||
        (t->image == 0 && t->uri == NULL) || t->uri_len > CAMP_TARGET_URI_MAX) {
        abort();
    }
    if (t->uri != NULL && t->image != 0) { /* it ends in what was understood */
        char tail[DR_ID_LEN + DB_TOKEN_LEN + 2];
        dr_id_format(t->image, tail);
        tail[DR_ID_LEN] = '/';
        memcpy(tail + DR_ID_LEN + 1, t->token, DB_TOKEN_LEN + 1);
        if (memcmp(t->uri + t->uri_len - strlen(tail), tail, strlen(tail)) != 0) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cx_pdu pdu;
    struct camp_target t = {.image = 0};

    if (cx_pdu_decode(data, size, &pdu) == DR_OK) {
        check(camp_target_parse(&pdu, &t), &t);
    }
    struct camp_target u = {.image = 0};
    check(camp_target_parse_uri((const char *)data, size, &u), &u);
    return 0;
}
