//! Why a token is refused.

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The token is bad.
    #[error("{0}")]
    Invalid(#[from] Reason),
    /// The issuer may have said something since it was last heard of that decides it.
    #[error("the issuer has not been heard of lately")]
    Undecidable,
    /// The token is good and stands for a service, where users are served.
    #[error("the token stands for a service")]
    NotAUser,
    /// The token is good and stands for a user, where services are served.
    #[error("the token stands for a user")]
    NotAService,
}

/// What is wrong with a token. For logs and tests; a caller is told no more than it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Longer than [`MAX_TOKEN_SIZE`](super::MAX_TOKEN_SIZE).
    #[error("too long")]
    Oversize,
    /// Not three parts.
    #[error("not three parts separated by dots")]
    Malformed,
    /// The header is not base64url.
    #[error("the header is not base64url")]
    HeaderEncoding,
    /// The header is not an object with each member once.
    #[error("the header is not a JSON object without duplicates")]
    HeaderJson,
    /// The header asks for an extension to be understood.
    #[error("the header has a crit member")]
    Critical,
    /// Not the one algorithm.
    #[error("the algorithm is not EdDSA")]
    Algorithm,
    /// Not an access token.
    #[error("the type is not at+jwt")]
    Type,
    /// The header has a member that the issuer does not write.
    #[error("the header has a member besides alg, typ and kid")]
    HeaderMember,
    /// No key is named.
    #[error("the kid is missing, empty or no string")]
    KeyId,
    /// The key is none of the issuer's.
    #[error("the key is unknown")]
    KeyUnknown,
    /// The key has not signed this.
    #[error("the signature is wrong")]
    Signature,
    /// The payload is not base64url.
    #[error("the payload is not base64url")]
    ClaimsEncoding,
    /// The payload is not an object with each claim once.
    #[error("the payload is not a JSON object without duplicates")]
    ClaimsJson,
    /// A required claim is missing.
    #[error("the claim {0} is missing")]
    ClaimMissing(&'static str),
    /// A claim has the wrong type.
    #[error("the claim {0} has the wrong type")]
    ClaimType(&'static str),
    /// A claim has a value that the issuer does not write.
    #[error("the claim {0} has an impossible value")]
    ClaimValue(&'static str),
    /// Issued by somebody else.
    #[error("the issuer is another one")]
    Issuer,
    /// Issued for other services.
    #[error("the audience is another one")]
    Audience,
    /// It ends before it begins, or lives longer than [`MAX_TOKEN_LIFE`](super::MAX_TOKEN_LIFE).
    #[error("the life is negative or too long")]
    Life,
    /// It has ended.
    #[error("expired")]
    Expired,
    /// Its session or its key was ended before.
    #[error("revoked")]
    Revoked,
    /// Its `nbf` is in the future.
    #[error("not valid yet")]
    NotYetValid,
    /// Its `iat` is in the future.
    #[error("issued in the future")]
    IssuedInFuture,
}
