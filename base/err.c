/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    const char *text;
    int http;
    uint8_t coap;
} errors[] = {
#define DR_ERR_ROW(name, value, text, http, coap) [-(value)] = {#name, text, http, coap},
    DR_ERR_LIST(DR_ERR_ROW)
#undef DR_ERR_ROW
};

static size_t row(dr_err_t err)
{
    size_t i = (size_t)(-(int)err);

    return i < DR_ARRAY_LEN(errors) && errors[i].name != NULL ? i : (size_t)(-DR_ERR_INTERNAL);
}

const char *dr_err_str(dr_err_t err)
{
    return errors[row(err)].text;
}

const char *dr_err_name(dr_err_t err)
{
    return errors[row(err)].name;
}

int dr_err_http(dr_err_t err)
{
    return errors[row(err)].http;
}

uint8_t dr_err_coap(dr_err_t err)
{
    return errors[row(err)].coap;
}

void dr_errinfo_set(struct dr_errinfo *reterr, const char *field, long line, const char *fmt, ...)
{
    if (reterr == NULL) {
        return;
    }
    (void)snprintf(reterr->field, sizeof reterr->field, "%s", field);
    reterr->line = line;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(reterr->text, sizeof reterr->text, fmt, ap);
    va_end(ap);
}

noreturn void dr_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "level=error msg=\"assertion failed\" cond=\"%s\" file=%s line=%d\n", cond,
            file, line);
    abort();
}
