/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image is written to ID.tmp, synced, renamed to ID, and the folder synced, before its row is
 * committed. A job's ID.part is linked to the image's name instead, so that a crash before the
 * commit costs nothing: at the next start the image is an orphan and the job still has its bytes.
 */
#include "campaigns/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "campaigns/image_priv.h"
#include "manifest/key.h"

enum mode { MODE_IMAGE, MODE_CHUNK, MODE_JOIN };

static dr_err_t io_error(int code)
{
    return code == ENOSPC || code == EDQUOT ? DR_ERR_NOSPACE : DR_ERR_IO;
}

/* ---- on the pool ---- */

static dr_err_t file_open(struct camp_upload *u)
{
    char name[CAMP_FILE_NAME_MAX + 1];
    bool image = u->priv.mode == MODE_IMAGE;
    int flags = image ? O_CREAT | O_EXCL : u->priv.mode == MODE_CHUNK ? O_CREAT : 0;

    if (u->priv.fd >= 0) {
        return DR_OK;
    }
    camp_file_name(image ? u->id : u->priv.job, image ? ".tmp" : ".part", name);
    u->priv.fd =
        openat(u->priv.images->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (u->priv.fd < 0) {
        return errno == ENOENT ? DR_ERR_CORRUPT : io_error(errno);
    }
    return DR_OK;
}

static dr_err_t room_check(const struct camp_upload *u)
{
    struct statvfs st;
    uint64_t min = u->priv.images->free_min_bytes;

    if (fstatvfs(u->priv.fd, &st) != 0) {
        return DR_ERR_IO;
    }
    return (uint64_t)st.f_bavail * st.f_frsize < min + u->priv.len ? DR_ERR_NOSPACE : DR_OK;
}

static dr_err_t buffer_write(struct camp_upload *u)
{
    struct dr_bytes all = dr_bytes_of(u->priv.buf, u->priv.len);
    size_t done = 0;
    dr_err_t err = u->priv.len == 0 ? DR_OK : room_check(u);

    while (err == DR_OK && done < all.len) {
        ssize_t n = pwrite(u->priv.fd, all.p + done, all.len - done, (off_t)u->priv.at);
        if (n > 0) {
            done += (size_t)n;
            u->priv.at += (uint64_t)n;
        } else if (n == 0 || errno != EINTR) {
            err = io_error(n == 0 ? EIO : errno);
        }
    }
    if (err == DR_OK && u->priv.hash != NULL) {
        manifest_hash_add(u->priv.hash, all);
    }
    if (err == DR_OK && u->tap != NULL && all.len != 0) {
        u->tap(u->data, all);
    }
    u->priv.len = 0;
    return err;
}

static void hash_end(struct camp_upload *u)
{
    uint8_t digest[MANIFEST_DIGEST_LEN];

    manifest_hash_end(u->priv.hash, digest);
    u->priv.hash = NULL;
    dr_hex_encode(digest, sizeof digest, u->sha256);
}

static dr_err_t file_hash(struct camp_upload *u)
{
    uint64_t at = 0;

    while (at < u->size) {
        ssize_t n = pread(u->priv.fd, u->priv.buf, CAMP_UPLOAD_BUFFER, (off_t)at);
        if (n > 0) {
            manifest_hash_add(u->priv.hash, dr_bytes_of(u->priv.buf, (size_t)n));
            at += (uint64_t)n;
        } else if (n == 0) {
            return DR_ERR_CORRUPT; /* shorter than its row says */
        } else if (errno != EINTR) {
            return DR_ERR_IO;
        }
    }
    return DR_OK;
}

/* What lies behind the last chunk that counts is cut off first. */
static dr_err_t job_link(struct camp_upload *u)
{
    char from[CAMP_FILE_NAME_MAX + 1], to[CAMP_FILE_NAME_MAX + 1];
    int dir = u->priv.images->dir_fd;
    dr_err_t err = file_open(u);

    if (err == DR_OK && ftruncate(u->priv.fd, (off_t)u->size) != 0) {
        err = io_error(errno);
    }
    if (err == DR_OK) {
        err = file_hash(u);
    }
    if (err != DR_OK) {
        return err;
    }
    hash_end(u);
    camp_file_name(u->priv.job, ".part", from);
    camp_file_name(u->id, "", to);
    bool good = fsync(u->priv.fd) == 0 && linkat(dir, from, dir, to, 0) == 0 && fsync(dir) == 0;
    return good ? DR_OK : io_error(errno);
}

static dr_err_t image_rename(struct camp_upload *u)
{
    char from[CAMP_FILE_NAME_MAX + 1], to[CAMP_FILE_NAME_MAX + 1];
    int dir = u->priv.images->dir_fd;

    hash_end(u);
    camp_file_name(u->id, ".tmp", from);
    camp_file_name(u->id, "", to);
    bool good = fsync(u->priv.fd) == 0 && renameat(dir, from, dir, to) == 0 && fsync(dir) == 0;
    return good ? DR_OK : io_error(errno);
}

static void work_run(struct loop_work *work)
{
    struct camp_upload *u = DR_CONTAINER_OF(work, struct camp_upload, priv.work);

    if (u->priv.mode == MODE_JOIN) {
        u->priv.err = job_link(u);
        return;
    }
    dr_err_t err = file_open(u);
    if (err == DR_OK) {
        err = buffer_write(u);
    }
    if (err == DR_OK && u->priv.last && u->priv.mode == MODE_IMAGE) {
        err = image_rename(u);
    } else if (err == DR_OK && u->priv.last) {
        bool good = fsync(u->priv.fd) == 0 && fsync(u->priv.images->dir_fd) == 0;
        err = good ? DR_OK : io_error(errno);
    }
    u->priv.err = err;
}

/* ---- on control ---- */

static void work_done(struct loop_work *work, dr_err_t err)
{
    struct camp_upload *u = DR_CONTAINER_OF(work, struct camp_upload, priv.work);

    u->priv.busy = false;
    err = err == DR_OK ? u->priv.err : err;
    if (err != DR_OK) {
        u->priv.last = false;
    }
    u->cb(u, err);
}

static dr_err_t begin(struct camp_images *images, struct camp_upload *u, int mode)
{
    dr_assert(images != NULL && u != NULL && u->cb != NULL);
    u->priv.images = images;
    u->priv.mode = mode;
    u->priv.fd = -1;
    u->priv.len = 0;
    u->priv.last = u->priv.busy = false;
    u->size = 0;
    u->priv.at = 0;
    u->priv.hash = NULL;
    u->priv.buf = NULL;
    if (images->stopping) {
        return DR_ERR_CANCELED;
    }
    if (mode != MODE_CHUNK) {
        struct manifest_hash *hash = NULL;
        dr_err_t err = manifest_hash_new(&hash);
        if (err != DR_OK) {
            return err;
        }
        u->priv.hash = hash;
        u->id = dr_id_new(&images->ids);
    }
    images->pending++;
    u->priv.buf = malloc(CAMP_UPLOAD_BUFFER);
    if (u->priv.buf == NULL) {
        camp_upload_end(u);
        return DR_ERR_NOMEM;
    }
    return DR_OK;
}

static dr_err_t work_start(struct camp_upload *u)
{
    dr_assert(!u->priv.busy);
    dr_err_t err = loop_work_start(u->priv.images->loop, &u->priv.work, work_run, work_done);

    u->priv.busy = err == DR_OK;
    return err;
}

dr_err_t camp_upload_image(struct camp_images *images, struct camp_upload *u)
{
    return begin(images, u, MODE_IMAGE);
}

dr_err_t camp_upload_chunk(struct camp_images *images, struct camp_upload *u, int64_t job,
                           uint64_t at)
{
    dr_err_t err = begin(images, u, MODE_CHUNK);

    u->id = u->priv.job = job;
    u->priv.at = at;
    return err;
}

dr_err_t camp_upload_join(struct camp_images *images, struct camp_upload *u, int64_t job,
                          uint64_t size)
{
    dr_err_t err = begin(images, u, MODE_JOIN);

    if (err != DR_OK) {
        return err;
    }
    u->priv.job = job;
    u->size = size;
    u->priv.last = true;
    err = work_start(u);
    if (err != DR_OK) {
        u->priv.last = false;
        camp_upload_end(u);
    }
    return err;
}

bool camp_upload_full(const struct camp_upload *u, size_t more)
{
    dr_assert(u != NULL);
    return more > CAMP_UPLOAD_BUFFER - u->priv.len;
}

void camp_upload_put(struct camp_upload *u, struct dr_bytes bytes)
{
    dr_assert(u != NULL && !u->priv.busy && !camp_upload_full(u, bytes.len));
    if (bytes.len != 0) {
        memcpy(u->priv.buf + u->priv.len, bytes.p, bytes.len);
        u->priv.len += bytes.len;
        u->size += bytes.len;
    }
}

dr_err_t camp_upload_flush(struct camp_upload *u)
{
    dr_assert(u != NULL && u->priv.buf != NULL);
    return work_start(u);
}

dr_err_t camp_upload_finish(struct camp_upload *u)
{
    dr_assert(u != NULL && u->priv.buf != NULL);
    u->priv.last = true;
    dr_err_t err = work_start(u);
    if (err != DR_OK) {
        u->priv.last = false;
    }
    return err;
}

void camp_upload_end(struct camp_upload *u)
{
    dr_assert(u != NULL && !u->priv.busy);
    if (u->priv.images == NULL) {
        return;
    }
    if (u->priv.hash != NULL) {
        uint8_t digest[MANIFEST_DIGEST_LEN];
        manifest_hash_end(u->priv.hash, digest);
        u->priv.hash = NULL;
    }
    if (u->priv.fd >= 0) {
        char name[CAMP_FILE_NAME_MAX + 1];
        camp_file_name(u->id, ".tmp", name);
        if (u->priv.mode == MODE_IMAGE && !u->priv.last) {
            (void)unlinkat(u->priv.images->dir_fd, name, 0);
        }
        (void)close(u->priv.fd);
        u->priv.fd = -1;
    }
    free(u->priv.buf);
    u->priv.buf = NULL;
    camp_images_release(u->priv.images);
    u->priv.images = NULL;
}

void camp_upload_drop(struct camp_images *images, int64_t job)
{
    dr_assert(images != NULL);
    camp_images_remove(images, job, ".part");
}
