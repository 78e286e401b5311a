/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_config.c
 * @brief Configuration files: what was accepted can be printed and read again to the same values.
 */
#include <stdlib.h>
#include <string.h>

#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct srv_config config, again;
    struct dr_errinfo info = {0};
    char *text = NULL;
    size_t text_len = 0;

    srv_config_init(&config);
    again = config;
    dr_err_t err = srv_config_parse(&config, (const char *)data, len, &info);
    if (err != DR_OK) {
        dr_assert(memcmp(&config, &again, sizeof config) == 0);
        return 0;
    }
    FILE *f = open_memstream(&text, &text_len);
    if (f == NULL) {
        return 0;
    }
    srv_config_print(&config, f);
    (void)fclose(f);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        /* a value with these characters at a bad place, or a long line, is not what the file syntax
         * can carry */
        if (strcspn(line, "\n") > 150 || memchr(line, ';', strcspn(line, "\n")) != NULL) {
            free(text);
            return 0;
        }
    }
    dr_assert(srv_config_parse(&again, text, text_len, &info) == DR_OK);
    dr_assert(memcmp(&config, &again, sizeof config) == 0);
    free(text);
    return 0;
}
