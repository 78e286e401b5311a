/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/folder.h
 * @brief The data folder: layout, lock, keys, ready.json.
 *
 * Layer: server.  Threads: main thread.  Memory: paths in the caller's buffers.
 * Limits: DR_PATH_MAX.  Security: folder 0700, key files 0600; key bytes never reach a message.
 *
 *     DIR/drover.db …     database (db/)
 *     DIR/keys/ticket.key DTLS session tickets, 48 random bytes in hex
 *     DIR/run/lock        held while a server uses the folder; holds its process id
 *     DIR/run/ready.json  addresses, written when traffic is accepted
 *     DIR/run/seen.N      last-seen log of shard N (devices/)
 *     DIR/drover.conf     configuration that is read without --config
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SRV_TICKET_KEY_LEN 48

/**
 * Make DIR, DIR/run and DIR/keys (0700) and the ticket key.
 * @retval DR_ERR_EXISTS    DIR holds a database already
 * @retval DR_ERR_READONLY, DR_ERR_NOSPACE, DR_ERR_IO
 */
DR_CHECK dr_err_t srv_folder_make(const char *dir, struct dr_errinfo *reterr);

/**
 * Take the lock; it is given back by closing @p ret_fd or by the end of the process.
 * @retval DR_ERR_NOT_FOUND  no data folder there
 * @retval DR_ERR_IN_USE     @p reterr says which process holds it
 * @retval DR_ERR_READONLY, DR_ERR_NOSPACE, DR_ERR_IO
 */
DR_CHECK dr_err_t srv_folder_lock(const char *dir, int *ret_fd, struct dr_errinfo *reterr);

/** Read the ticket key. @retval DR_ERR_NOT_FOUND, DR_ERR_CORRUPT, DR_ERR_IO */
DR_CHECK dr_err_t srv_folder_ticket_key(const char *dir, uint8_t key[SRV_TICKET_KEY_LEN],
                                        struct dr_errinfo *reterr);

struct srv_ready {
    const char *coap, *coaps, *bootstrap, *http, *metrics; /**< "address:port", or NULL when off */
};
/** Write run/ready.json (whole or not at all). */
DR_CHECK dr_err_t srv_folder_ready(const char *dir, const struct srv_ready *ready,
                                   struct dr_errinfo *reterr);
/** Remove run/ready.json; not an error when it is gone. */
void srv_folder_unready(const char *dir);
