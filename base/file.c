/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

dr_err_t dr_file_err(const char *what, const char *path, struct dr_errinfo *reterr)
{
    int why = errno;

    dr_errinfo_set(reterr, path, 0, "cannot %s: %s", what, strerror(why));
    switch (why) {
    case ENOENT:
        return DR_ERR_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return DR_ERR_NOSPACE;
    case EROFS:
    case EACCES:
    case EPERM:
        return DR_ERR_READONLY;
    case ENOMEM:
        return DR_ERR_NOMEM;
    default:
        return DR_ERR_IO;
    }
}

dr_err_t dr_path_join(char *buf, const char *dir, const char *name)
{
    dr_assert(buf != NULL && dir != NULL && name != NULL);
    int n = snprintf(buf, DR_PATH_MAX, "%s/%s", dir, name);

    return n < 0 || n >= DR_PATH_MAX ? DR_ERR_RANGE : DR_OK;
}

static dr_err_t sync_folder_of(const char *path)
{
    char dir[DR_PATH_MAX];
    (void)snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir) {
        return DR_OK;
    }
    *slash = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return DR_ERR_IO;
    }
    int rc = fsync(fd);
    (void)close(fd);
    return rc == 0 ? DR_OK : DR_ERR_IO;
}

dr_err_t dr_file_write(const char *path, const void *data, size_t len, struct dr_errinfo *reterr)
{
    dr_assert(path != NULL && data != NULL);
    char temp[DR_PATH_MAX];
    int n = snprintf(temp, sizeof temp, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof temp) {
        dr_errinfo_set(reterr, path, 0, "the path is too long");
        return DR_ERR_RANGE;
    }
    int fd = open(temp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        return dr_file_err("write", temp, reterr);
    }
    const char *at = data;
    size_t left = len;
    while (left > 0) {
        ssize_t done = write(fd, at, left);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            break;
        }
        at += done;
        left -= (size_t)done;
    }
    bool good = left == 0 && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    if (!good || rename(temp, path) != 0 || sync_folder_of(path) != DR_OK) {
        dr_err_t err = dr_file_err("write", path, reterr);
        (void)unlink(temp);
        return err;
    }
    return DR_OK;
}

dr_err_t dr_file_read(const char *path, size_t max, char **ret, size_t *ret_len,
                      struct dr_errinfo *reterr)
{
    dr_assert(path != NULL && ret != NULL && ret_len != NULL);
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        return dr_file_err("read", path, reterr);
    }
    char *text = malloc(max + 2);
    size_t len = text == NULL ? 0 : fread(text, 1, max + 1, f);
    dr_err_t err = DR_OK;
    if (text == NULL) {
        err = DR_ERR_NOMEM;
    } else if (ferror(f)) {
        err = dr_file_err("read", path, reterr);
    } else if (len > max) {
        dr_errinfo_set(reterr, path, 0, "larger than %zu bytes", max);
        err = DR_ERR_TOO_LARGE;
    }
    (void)fclose(f);
    if (err != DR_OK) {
        free(text);
        return err;
    }
    text[len] = '\0';
    *ret = text;
    *ret_len = len;
    return DR_OK;
}
