/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/file.h
 * @brief Small files, whole: read, and write so that a crash leaves the old or the new one.
 *
 * Layer: base.  Threads: reentrant; blocks.  Memory: a file that is read is one block.
 * Limits: the caller's.  Security: files are made with mode 0600; messages name paths, never
 * contents.  Spec: none.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define DR_PATH_MAX 512

/** What errno means here. @p reterr: "cannot @p what: reason". */
dr_err_t dr_file_err(const char *what, const char *path, struct dr_errinfo *reterr);

/** DIR/name into @p buf of DR_PATH_MAX bytes. @retval DR_ERR_RANGE too long */
DR_CHECK dr_err_t dr_path_join(char *buf, const char *dir, const char *name);

/**
 * Write a file of mode 0600 through a temporary one: whole or not at all, on disk when it returns.
 * @retval DR_ERR_RANGE  the path is too long
 * @retval DR_ERR_READONLY, DR_ERR_NOSPACE, DR_ERR_NOT_FOUND (folder), DR_ERR_IO
 */
DR_CHECK dr_err_t dr_file_write(const char *path, const void *data, size_t len,
                                struct dr_errinfo *reterr);
/**
 * Read a file of at most @p max bytes.
 * @param ret  NUL-terminated; free it
 * @retval DR_ERR_NOT_FOUND, DR_ERR_TOO_LARGE, DR_ERR_READONLY (no permission), DR_ERR_IO,
 * DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dr_file_read(const char *path, size_t max, char **ret, size_t *ret_len,
                               struct dr_errinfo *reterr);
