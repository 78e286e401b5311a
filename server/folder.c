/* SPDX-License-Identifier: Apache-2.0 */
#include "server/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/text.h"

#define KEY_FILE_MAX 1024

static dr_err_t io_err(const char *what, const char *path, struct dr_errinfo *reterr)
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

dr_err_t srv_path(char *buf, const char *dir, const char *name)
{
    dr_assert(buf != NULL && dir != NULL && name != NULL);
    int n = snprintf(buf, SRV_PATH_MAX, "%s/%s", dir, name);

    return n < 0 || n >= SRV_PATH_MAX ? DR_ERR_RANGE : DR_OK;
}

static dr_err_t sync_folder_of(const char *path)
{
    char dir[SRV_PATH_MAX];
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

dr_err_t srv_file_write(const char *path, const void *data, size_t len, struct dr_errinfo *reterr)
{
    dr_assert(path != NULL && data != NULL);
    char temp[SRV_PATH_MAX];
    int n = snprintf(temp, sizeof temp, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof temp) {
        dr_errinfo_set(reterr, path, 0, "the path is too long");
        return DR_ERR_RANGE;
    }
    int fd = open(temp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        return io_err("write", temp, reterr);
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
        dr_err_t err = io_err("write", path, reterr);
        (void)unlink(temp);
        return err;
    }
    return DR_OK;
}

dr_err_t srv_file_read(const char *path, size_t max, char **ret, size_t *ret_len,
                       struct dr_errinfo *reterr)
{
    dr_assert(path != NULL && ret != NULL && ret_len != NULL);
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        return io_err("read", path, reterr);
    }
    char *text = malloc(max + 2);
    size_t len = text == NULL ? 0 : fread(text, 1, max + 1, f);
    dr_err_t err = DR_OK;
    if (text == NULL) {
        err = DR_ERR_NOMEM;
    } else if (ferror(f)) {
        err = io_err("read", path, reterr);
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

static dr_err_t make_dir(const char *path, struct dr_errinfo *reterr)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return io_err("make", path, reterr);
    }
    return DR_OK;
}

static dr_err_t make_ticket_key(const char *path, struct dr_errinfo *reterr)
{
    uint8_t key[SRV_TICKET_KEY_LEN];
    char hex[DR_HEX_LEN(SRV_TICKET_KEY_LEN) + 2];

    dr_rand_bytes(key, sizeof key);
    dr_hex_encode(key, sizeof key, hex);
    hex[DR_HEX_LEN(SRV_TICKET_KEY_LEN)] = '\n';
    dr_err_t err = srv_file_write(path, hex, DR_HEX_LEN(SRV_TICKET_KEY_LEN) + 1, reterr);
    dr_wipe(key, sizeof key);
    dr_wipe(hex, sizeof hex);
    return err;
}

dr_err_t srv_folder_make(const char *dir, struct dr_errinfo *reterr)
{
    dr_assert(dir != NULL);
    char path[SRV_PATH_MAX];
    dr_err_t err = srv_path(path, dir, "drover.db");
    if (err != DR_OK) {
        dr_errinfo_set(reterr, "data", 0, "the path is too long");
        return err;
    }
    if (access(path, F_OK) == 0) {
        dr_errinfo_set(reterr, dir, 0, "holds a database already; nothing was changed");
        return DR_ERR_EXISTS;
    }
    static const char *const folders[] = {"", "run", "keys"};
    for (size_t i = 0; i < DR_ARRAY_LEN(folders) && err == DR_OK; i++) {
        err = srv_path(path, dir, folders[i]);
        if (err == DR_OK) {
            err = make_dir(path, reterr);
        }
    }
    if (err == DR_OK) {
        err = srv_path(path, dir, "keys/ticket.key");
    }
    if (err == DR_OK && access(path, F_OK) != 0) {
        err = make_ticket_key(path, reterr);
    }
    return err;
}

static dr_err_t held_by(int fd, const char *path, struct dr_errinfo *reterr)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    dr_errinfo_set(reterr, path, 0, "in use by process %s", pid[0] ? pid : "(unknown)");
    return DR_ERR_IN_USE;
}

dr_err_t srv_folder_lock(const char *dir, int *ret_fd, struct dr_errinfo *reterr)
{
    dr_assert(dir != NULL && ret_fd != NULL);
    char path[SRV_PATH_MAX];
    dr_err_t err = srv_path(path, dir, "drover.db");
    if (err != DR_OK || access(path, F_OK) != 0) {
        dr_errinfo_set(reterr, dir, 0, "is no data folder; make one with droverd init --data %s",
                       dir);
        return DR_ERR_NOT_FOUND;
    }
    err = srv_path(path, dir, "run");
    if (err == DR_OK) {
        err = make_dir(path, reterr);
    }
    if (err == DR_OK) {
        err = srv_path(path, dir, "run/lock");
    }
    if (err != DR_OK) {
        return err;
    }
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return io_err("open", path, reterr);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? held_by(fd, path, reterr) : io_err("lock", path, reterr);
        (void)close(fd);
        return err;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        err = io_err("write", path, reterr);
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return DR_OK;
}

dr_err_t srv_folder_ticket_key(const char *dir, uint8_t key[SRV_TICKET_KEY_LEN],
                               struct dr_errinfo *reterr)
{
    dr_assert(dir != NULL && key != NULL);
    char path[SRV_PATH_MAX];
    char *text;
    size_t len, n = 0;
    dr_err_t err = srv_path(path, dir, "keys/ticket.key");
    if (err == DR_OK) {
        err = srv_file_read(path, KEY_FILE_MAX, &text, &len, reterr);
    }
    if (err != DR_OK) {
        return err;
    }
    err = dr_hex_decode(text, strcspn(text, "\r\n"), key, SRV_TICKET_KEY_LEN, &n);
    if (err != DR_OK || n != SRV_TICKET_KEY_LEN) {
        dr_errinfo_set(reterr, path, 0, "is not %d bytes in hex", SRV_TICKET_KEY_LEN);
        err = DR_ERR_CORRUPT;
    }
    dr_wipe(text, len);
    free(text);
    return err;
}

static void json_member(FILE *f, const char *name, const char *value)
{
    if (value != NULL) {
        fprintf(f, ",\"%s\":\"%s\"", name, value);
    }
}

dr_err_t srv_folder_ready(const char *dir, const struct srv_ready *ready, struct dr_errinfo *reterr)
{
    dr_assert(dir != NULL && ready != NULL);
    char path[SRV_PATH_MAX];
    char *text = NULL;
    size_t len = 0;
    dr_err_t err = srv_path(path, dir, "run/ready.json");
    FILE *f = err == DR_OK ? open_memstream(&text, &len) : NULL;
    if (f == NULL) {
        return err == DR_OK ? DR_ERR_NOMEM : err;
    }
    fprintf(f, "{\"pid\":%ld,\"version\":\"%s\"", (long)getpid(), PACKAGE_VERSION);
    json_member(f, "coap", ready->coap);
    json_member(f, "coaps", ready->coaps);
    json_member(f, "bootstrap", ready->bootstrap);
    json_member(f, "http", ready->http);
    json_member(f, "metrics", ready->metrics);
    fputs("}\n", f);
    err = fclose(f) == 0 ? srv_file_write(path, text, len, reterr) : DR_ERR_NOMEM;
    free(text);
    return err;
}

void srv_folder_unready(const char *dir)
{
    char path[SRV_PATH_MAX];

    if (srv_path(path, dir, "run/ready.json") == DR_OK) {
        (void)unlink(path);
    }
}
