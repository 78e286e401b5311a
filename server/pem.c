/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char begin_line[] = "-----BEGIN CERTIFICATE-----";
static const char end_line[] = "-----END CERTIFICATE-----";

/* Base64 with its line breaks taken out, decoded behind @p out. */
static dr_err_t decode(const char *from, const char *to, uint8_t *out, size_t cap, size_t *ret_len)
{
    char *plain = malloc((size_t)(to - from) + 1);
    size_t n = 0;

    if (plain == NULL) {
        return DR_ERR_NOMEM;
    }
    for (; from < to; from++) {
        if (!isspace((unsigned char)*from)) {
            plain[n++] = *from;
        }
    }
    dr_err_t err = n == 0 ? DR_ERR_PROTO : dr_base64_decode(plain, n, out, cap, ret_len);
    free(plain);
    return err;
}

dr_err_t srv_pem_certs(const char *text, size_t len, struct srv_der_list *ret,
                       struct dr_errinfo *reterr)
{
    dr_assert(text != NULL && ret != NULL);
    const char *end = text + len;
    struct srv_der_list list = {.count = 0, .block = malloc(len + 1)};
    size_t used = 0;
    dr_err_t err = list.block == NULL ? DR_ERR_NOMEM : DR_OK;

    for (const char *at = text; err == DR_OK;) {
        const char *start = memmem(at, (size_t)(end - at), begin_line, sizeof begin_line - 1);
        if (start == NULL) {
            break;
        }
        start += sizeof begin_line - 1;
        const char *stop = memmem(start, (size_t)(end - start), end_line, sizeof end_line - 1);
        size_t n = 0;
        if (list.count == SRV_PEM_CERTS_MAX) {
            err = DR_ERR_LIMIT;
        } else if (stop == NULL) {
            err = DR_ERR_PROTO;
        } else {
            err = decode(start, stop, list.block + used, len - used, &n);
        }
        if (err == DR_OK && stop != NULL) {
            list.certs[list.count++] = (struct srv_der){list.block + used, n};
            used += n;
            at = stop + sizeof end_line - 1;
        }
    }
    if (err == DR_OK && list.count == 0) {
        err = DR_ERR_PROTO;
    }
    if (err != DR_OK) {
        dr_errinfo_set(reterr, "", 0, "certificate %zu of the PEM file cannot be read",
                       list.count + 1);
        free(list.block);
        return err;
    }
    *ret = list;
    return DR_OK;
}
