/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/credentials.h
 * @brief Reads the C file of developer credentials that Pelion's clients compile in.
 *
 * Layer: client port, pure.  Threads: reentrant.  Memory: the caller's struct.
 * Limits: CREDENTIALS_TEXT_MAX characters a text, CL_CERT_MAX bytes an array.
 * Security: the file is not trusted to be C: only preprocessor lines, comments and constant
 * definitions of three types are accepted; anything else is an error with its line.
 */
#pragma once

#include "client/core/account.h"

#define CREDENTIALS_TEXT_MAX 256

struct credentials {
    char endpoint[CREDENTIALS_TEXT_MAX], account_id[CREDENTIALS_TEXT_MAX];
    char uri[CREDENTIALS_TEXT_MAX];
    char manufacturer[CREDENTIALS_TEXT_MAX], model[CREDENTIALS_TEXT_MAX];
    char serial[CREDENTIALS_TEXT_MAX], type[CREDENTIALS_TEXT_MAX];
    char hardware[CREDENTIALS_TEXT_MAX];
    uint32_t memory_kb;
    uint8_t certificate[CL_CERT_MAX], key[CL_KEY_MAX];
    uint8_t authority[CL_CERT_MAX];       /**< of the bootstrap server */
    uint8_t lwm2m_authority[CL_CERT_MAX]; /**< of the LwM2M server; not in all files */
    uint16_t certificate_len, key_len, authority_len, lwm2m_authority_len;
};

/** What is wrong, for people. */
struct credentials_error {
    unsigned line; /**< 0 = about the whole file */
    char text[120];
};

/**
 * @param text     of @p len bytes
 * @param ret      filled on success
 * @param reterr   filled on failure
 */
bool credentials_parse(const char *text, size_t len, struct credentials *ret,
                       struct credentials_error *reterr);
