/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/model_xml.h
 * @brief Reads OMA object definition files (XML) into a lwm2m_models.
 *
 * Layer: lwm2m; lwm2m_models_load_folder() reads files, the rest is pure.  Threads: one at a time
 * per models. Memory: nothing kept but what is added to the models. Limits: LWM2M_XML_BYTES_MAX a
 * file, LWM2M_XML_FILES_MAX files, LWM2M_XML_RES_MAX resources an object, LWM2M_XML_TEXT_MAX bytes
 * of text an element.  Security: a document type declaration is refused, so there are no entities.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "lwm2m/model.h"

#define LWM2M_XML_BYTES_MAX ((size_t)1 << 20)
#define LWM2M_XML_FILES_MAX 2048
#define LWM2M_XML_RES_MAX   1024
#define LWM2M_XML_TEXT_MAX  256 /**< longer names are cut, descriptions are skipped */
#define LWM2M_XML_DEPTH_MAX 16

/**
 * Add every object of one document.
 * @param name    what to call it in errors (file name)
 * @param ret_count  objects added; written on success only
 * @param reterr  file, line and reason; may be NULL
 * @retval DR_ERR_PROTO      not well-formed, a DTD, or not an object definition
 * @retval DR_ERR_TOO_LARGE  over LWM2M_XML_BYTES_MAX
 * @retval DR_ERR_LIMIT      too many resources, or the models are full
 * @retval DR_ERR_EXISTS     the object version was loaded before
 * @retval DR_ERR_NOMEM
 * On error nothing of the document has been added.
 */
DR_CHECK dr_err_t lwm2m_models_load_xml(struct lwm2m_models *models, const char *name,
                                        const void *text, size_t len, size_t *ret_count,
                                        struct dr_errinfo *reterr);

/**
 * Load all *.xml files of a folder in order of name. Stops at the first bad file.
 * @retval DR_ERR_IO     the folder or a file cannot be read
 * @retval DR_ERR_LIMIT  over LWM2M_XML_FILES_MAX files
 * and those of lwm2m_models_load_xml()
 */
DR_CHECK dr_err_t lwm2m_models_load_folder(struct lwm2m_models *models, const char *folder,
                                           size_t *ret_count, struct dr_errinfo *reterr);
