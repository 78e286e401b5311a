/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_client_http.c
 * @brief Heads of HTTP answers, as drover-client's downloads read them.
 */
#include <stdlib.h>
#include <string.h>

#include "client/ports/posix/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http_head h = {.status = 7};
    char *text = malloc(len + 1);

    require(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    if (http_head_parse(text, &h)) {
        require(h.status >= 100 && h.status <= 599);
        require(h.has_length || h.length == 0);
        require(h.has_range || h.from == 0);
        require(h.length <= INT64_MAX && h.from <= INT64_MAX);
    } else {
        require(h.status == 7);
    }
    free(text);
    return 0;
}
