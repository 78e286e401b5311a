/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/options.h
 * @brief Command line of drover-client, and the accounts that it names.
 *
 * Layer: client port.  Threads: one.  Memory: borrows the command line.
 * Limits: files of OPTIONS_FILE_MAX bytes.
 * Security: keys come from files, never from the command line.
 */
#pragma once

#include "client/core/client.h"
#include "client/ports/posix/credentials.h"

#define OPTIONS_FILE_MAX 65536

struct options {
    const char *data;
    const char *server, *bootstrap; /**< URIs, one of them NULL */
    const char *identity, *key_file, *credentials_file;
    const char *endpoint;
    const char *form;            /**< of the registration, NULL = the default */
    const char *update_key_file; /**< NULL: no updates */
    uint8_t vendor[16], class_id[16];
    uint32_t cut_at; /**< of fault: the write of flash that is cut, 0 = none */
    uint32_t slot_size, lifetime_s, trial_s;
    bool ask;  /**< updates wait for the console */
    bool http; /**< http:// payloads come directly, not through the server */
    bool console, records;
    struct credentials credentials; /**< of credentials_file */
    struct cl_account account;      /**< of the server or bootstrap server */
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/** Messages go to stderr, help to stdout. */
enum options_result options_parse(int argc, char **argv, struct options *ret);
