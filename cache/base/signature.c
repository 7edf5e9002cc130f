/* Strength is judged by NIST SP 800-57: 112 bits, which is SHA-2 and RSA of 2,048 bits.
 */
#include "cache/base/signature.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

/* Digest of RSASSA-PSS parameters.  The hash of its mask generation is left alone: no
 * attack on the signature is known that uses it. */
static int pss_digest(const X509_ALGOR *a)
{
	RSA_PSS_PARAMS *p =
	    ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), a->parameter);
	int nid = NID_undef;

	if (p != NULL)
		nid = p->hashAlgorithm != NULL ? OBJ_obj2nid(p->hashAlgorithm->algorithm)
					       : NID_sha1; /* RFC 4055 section 3.1 */
	RSA_PSS_PARAMS_free(p);
	return nid;
}

static bool digest_is_strong(int nid)
{
	switch (nid) {
	case NID_sha224:
	case NID_sha256:
	case NID_sha384:
	case NID_sha512:
	case NID_sha512_224:
	case NID_sha512_256:
	case NID_sha3_224:
	case NID_sha3_256:
	case NID_sha3_384:
	case NID_sha3_512:
		return true;
	default:
		return false;
	}
}

enum err signature_algorithm_check(
    const X509_ALGOR *a, const struct issuer_rules *rules, bool *sha1)
{
	int nid = OBJ_obj2nid(a->algorithm), digest, key;

	*sha1 = false;
	if (nid == NID_ED25519 || nid == NID_ED448)
		return ERR_OK;
	if (nid == NID_rsassaPss)
		digest = pss_digest(a);
	else if (OBJ_find_sigid_algs(nid, &digest, &key) != 1 ||
		 (key != NID_rsaEncryption && key != NID_X9_62_id_ecPublicKey))
		return ERR_RESP_SIGALG;
	*sha1 = digest == NID_sha1;
	return digest_is_strong(digest) || (*sha1 && rules->allow_sha1) ? ERR_OK
									: ERR_RESP_SIGALG;
}

/* Keys below 112 bits of security (NIST SP 800-57) go with SHA-1: answers of that time,
 * taken only where the operator asks for it; below 80 bits never. */
bool signature_key_is_strong(EVP_PKEY *key, const struct issuer_rules *rules)
{
	int bits = EVP_PKEY_get_bits(key);

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		return bits >= (rules->allow_sha1 ? 1024 : 2048);
	case EVP_PKEY_EC:
		return bits >= (rules->allow_sha1 ? 160 : 224);
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		return true;
	default:
		return false;
	}
}
