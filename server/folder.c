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

#include "base/file.h"
#include "base/rand.h"
#include "base/text.h"

#define KEY_FILE_MAX 1024

static dr_err_t make_dir(const char *path, struct dr_errinfo *reterr)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return dr_file_err("make", path, reterr);
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
    dr_err_t err = dr_file_write(path, hex, DR_HEX_LEN(SRV_TICKET_KEY_LEN) + 1, reterr);
    dr_wipe(key, sizeof key);
    dr_wipe(hex, sizeof hex);
    return err;
}

dr_err_t srv_folder_make(const char *dir, struct dr_errinfo *reterr)
{
    dr_assert(dir != NULL);
    char path[DR_PATH_MAX];
    dr_err_t err = dr_path_join(path, dir, "drover.db");
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
        err = dr_path_join(path, dir, folders[i]);
        if (err == DR_OK) {
            err = make_dir(path, reterr);
        }
    }
    if (err == DR_OK) {
        err = dr_path_join(path, dir, "keys/ticket.key");
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
    char path[DR_PATH_MAX];
    dr_err_t err = dr_path_join(path, dir, "drover.db");
    if (err != DR_OK || access(path, F_OK) != 0) {
        dr_errinfo_set(reterr, dir, 0, "is no data folder; make one with droverd init --data %s",
                       dir);
        return DR_ERR_NOT_FOUND;
    }
    err = dr_path_join(path, dir, "run");
    if (err == DR_OK) {
        err = make_dir(path, reterr);
    }
    if (err == DR_OK) {
        err = dr_path_join(path, dir, "run/lock");
    }
    if (err != DR_OK) {
        return err;
    }
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return dr_file_err("open", path, reterr);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? held_by(fd, path, reterr) : dr_file_err("lock", path, reterr);
        (void)close(fd);
        return err;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        err = dr_file_err("write", path, reterr);
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
    char path[DR_PATH_MAX];
    char *text;
    size_t len, n = 0;
    dr_err_t err = dr_path_join(path, dir, "keys/ticket.key");
    if (err == DR_OK) {
        err = dr_file_read(path, KEY_FILE_MAX, &text, &len, reterr);
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
    char path[DR_PATH_MAX];
    char *text = NULL;
    size_t len = 0;
    dr_err_t err = dr_path_join(path, dir, "run/ready.json");
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
    err = fclose(f) == 0 ? dr_file_write(path, text, len, reterr) : DR_ERR_NOMEM;
    free(text);
    return err;
}

void srv_folder_unready(const char *dir)
{
    char path[DR_PATH_MAX];

    if (dr_path_join(path, dir, "run/ready.json") == DR_OK) {
        (void)unlink(path);
    }
}
