/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_client_credentials.c
 * @brief The C file of developer credentials.
 */
#include <stdlib.h>

#include "client/ports/posix/credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct credentials cred;
    struct credentials_error error = {.text = "unset"};

    if (credentials_parse((const char *)data, len, &cred, &error)) {
        if (cred.certificate_len > sizeof cred.certificate || cred.key_len > sizeof cred.key) {
            abort();
        }
    } else if (memcmp(error.text, "unset", 6) == 0) {
        abort(); /* an error says what is wrong */
    }
    return 0;
}
