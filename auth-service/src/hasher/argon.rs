//! Argon2id and the PHC strings that it is stored as.

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash as Phc, Salt},
};
use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};

use crate::passwords::{Password, PasswordHash};

/// The most memory and the most passes that a stored hash may ask for: what can be configured.
const MAX_COST: Cost = Cost { memory_kib: 1_048_576, passes: 10 };
const SALT_SIZE: usize = 16;
const OUTPUT_SIZE: usize = 32;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

/// What is found out about a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the one that was hashed.
    pub fits: bool,
    /// Whether the hash is cheaper than hashes are made now.
    pub outdated: bool,
}

/// Why a password is not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashFault {
    /// Too many passwords are waiting.
    #[error("too many passwords are waiting")]
    Overloaded,
    /// The stored hash is none that this service makes.
    #[error("the stored password hash is malformed")]
    Stored,
    /// Argon2 does not take the parameters.
    #[error("Argon2: {0}")]
    Argon2(#[from] argon2::Error),
    /// A hash can not be written as a PHC string.
    #[error("PHC: {0}")]
    Phc(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The system gives no thread.
    #[error("the system gives no thread: {0}")]
    Thread(std::io::Error),
    /// The hashing threads have ended.
    #[error("the hashing threads have ended")]
    Stopped,
}

impl Cost {
    /// # Errors
    /// When Argon2 can not have this cost.
    pub(super) fn params(self) -> Result<Params, HashFault> {
        Ok(Params::new(self.memory_kib, self.passes, 1, Some(OUTPUT_SIZE))?)
    }

    fn exceeds(self, other: Self) -> bool {
        self.memory_kib > other.memory_kib || self.passes > other.passes
    }
}

/// Hashes with a salt of its own.
pub(super) fn hash(
    password: &Password,
    params: &Params,
    memory: &mut [Block],
) -> Result<PasswordHash, HashFault> {
    let salt = random::<SALT_SIZE>()?;
    phc(params, &salt, &output(password, &salt, params, memory)?)
}

/// A hash that is made up: no password is known to have it, and checking one takes as long as ever.
pub(super) fn stand_in(params: &Params) -> Result<PasswordHash, HashFault> {
    phc(params, &random::<SALT_SIZE>()?, &random::<OUTPUT_SIZE>()?)
}

fn random<const SIZE: usize>() -> Result<[u8; SIZE], HashFault> {
    let mut bytes = [0; SIZE];
    rand::fill(&mut bytes).map_err(|_| HashFault::Random)?;
    Ok(bytes)
}

/// The PHC string of a hash.
fn phc(params: &Params, salt: &[u8], output: &[u8]) -> Result<PasswordHash, HashFault> {
    let phc = |fault: &dyn ToString| HashFault::Phc(fault.to_string());
    let hash = Phc {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: params.try_into().map_err(|fault: argon2::password_hash::Error| phc(&fault))?,
        salt: Some(Salt::new(salt).map_err(|fault| phc(&fault))?),
        hash: Some(Output::new(output).map_err(|fault| phc(&fault))?),
    };
    Ok(PasswordHash(hash.to_string()))
}

/// A stored hash, taken apart.
pub(super) struct Stored {
    pub(super) params: Params,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// Reads a hash that this service has made, with whatever cost was in force then.
    pub(super) fn parse(hash: &PasswordHash) -> Result<Self, HashFault> {
        let hash = Phc::new(&hash.0).map_err(|_| HashFault::Stored)?;
        let params = Params::try_from(&hash).map_err(|_| HashFault::Stored)?;
        let version = hash.version == Some(Version::V0x13.into());
        let shape = hash.algorithm == ARGON2ID_IDENT && version && params.p_cost() == 1;
        match (hash.salt, hash.hash) {
            (Some(salt), Some(output))
                if shape && output.len() == OUTPUT_SIZE && !cost(&params).exceeds(MAX_COST) =>
            {
                Ok(Self { params, salt, output })
            }
            _ => Err(HashFault::Stored),
        }
    }

    /// Compares in constant time.
    pub(super) fn verify(
        &self,
        password: &Password,
        in_force: Cost,
        memory: &mut [Block],
    ) -> Result<Verdict, HashFault> {
        let output = output(password, &self.salt, &self.params, memory)?;
        let fits = verify_slices_are_equal(&output, self.output.as_bytes()).is_ok();
        Ok(Verdict { fits, outdated: in_force.exceeds(cost(&self.params)) })
    }
}

fn cost(params: &Params) -> Cost {
    Cost { memory_kib: params.m_cost(), passes: params.t_cost() }
}

fn output(
    password: &Password,
    salt: &[u8],
    params: &Params,
    memory: &mut [Block],
) -> Result<[u8; OUTPUT_SIZE], HashFault> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut output = [0; OUTPUT_SIZE];
    let password = password.expose().as_bytes();
    argon2.hash_password_into_with_memory(password, salt, &mut output, memory)?;
    Ok(output)
}
