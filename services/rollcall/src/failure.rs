//! How a command fails: one sentence on standard error that says what to do next, and an exit code for scripts.

use std::{error::Error, fmt, io, process::ExitCode};

use tonic::{Code, Status};

/// What the exit codes mean, for `--help`.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused (no valid credential, or one that may \
                                     not do this), 5 not reachable or not ready: try again, 6 the audit log is \
                                     not what was written.";

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A service answered a call with an error, or could not be reached.
    Call(Box<Status>),
    /// What the command names does not exist.
    NotFound(String),
    /// There is no usable credential.
    Refused(String),
    /// An endpoint does not answer now.
    Unavailable(String),
    /// Standard output cannot be written.
    Output(io::Error),
    /// The audit log is not what was written: its chain breaks, or a noted head is no part of it.
    Broken(String),
    /// Anything else.
    Failed(anyhow::Error),
}

impl Failure {
    /// The exit code. See [`EXIT_CODES`].
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// Who closed the pipe has read enough, as `head` does: nothing failed.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn code(&self) -> u8 {
        match self {
            _ if self.is_silent() => 0,
            Self::Output(_) | Self::Failed(_) => 1,
            Self::NotFound(_) => 3,
            Self::Refused(_) => 4,
            Self::Unavailable(_) => 5,
            Self::Broken(_) => 6,
            Self::Call(status) => match status.code() {
                Code::NotFound => 3,
                Code::Unauthenticated | Code::PermissionDenied => 4,
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => 5,
                _ if never_answered(status) => 5,
                _ => 1,
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(status) => call(status, f),
            Self::NotFound(sentence)
            | Self::Refused(sentence)
            | Self::Unavailable(sentence)
            | Self::Broken(sentence) => f.write_str(sentence),
            Self::Output(error) => write!(f, "the output cannot be written: {error}"),
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl Error for Failure {}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

fn call(status: &Status, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if never_answered(status) {
        let cause = deepest(status).map(|error| format!(" ({error})")).unwrap_or_default();
        return write!(
            f,
            "the server does not answer{cause}: start it with `rollcall up`, or name its gRPC address with \
             --server and a private authority with --ca-file"
        );
    }
    let message = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    f.write_str(message.trim_end_matches('.'))?;
    f.write_str(match status.code() {
        Code::Unauthenticated => {
            ": give the operator credential by ROLLCALL_OPERATOR_KEY or --operator-key-file; `rollcall up` keeps it in operator.key in \
             its data directory"
        }
        Code::PermissionDenied => ": use the operator credential, or a key with the scope that this needs",
        Code::NotFound => ": `list` shows what there is",
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => ": try again in a moment",
        Code::Unimplemented => ": --server must name the gRPC address (8081 by default) of a server of this version",
        Code::Internal | Code::Unknown | Code::DataLoss => ": the server's log says why",
        _ => "",
    })
}

/// Whether the error was made on this side: no answer came.
fn never_answered(status: &Status) -> bool {
    status.source().is_some()
}

fn deepest(status: &Status) -> Option<&(dyn Error + 'static)> {
    let mut error = status.source()?;
    while let Some(source) = error.source() {
        error = source;
    }
    Some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let of = |code| Failure::from(Status::new(code, "x")).code();
        assert_eq!(of(Code::NotFound), 3);
        assert_eq!(of(Code::Unauthenticated), 4);
        assert_eq!(of(Code::PermissionDenied), 4);
        assert_eq!(of(Code::Unavailable), 5);
        assert_eq!(of(Code::DeadlineExceeded), 5);
        for code in
            [Code::InvalidArgument, Code::AlreadyExists, Code::FailedPrecondition, Code::Internal, Code::Unknown]
        {
            assert_eq!(of(code), 1, "{code:?}");
        }
        assert_eq!(Failure::NotFound(String::new()).code(), 3);
        assert_eq!(Failure::Refused(String::new()).code(), 4);
        assert_eq!(Failure::Unavailable(String::new()).code(), 5);
        assert_eq!(Failure::Broken(String::new()).code(), 6);
        assert_eq!(Failure::from(anyhow::anyhow!("x")).code(), 1);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code(), 1);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code(), 0);
    }

    #[test]
    fn a_call_without_an_answer_is_unavailable() {
        let status = Status::from_error(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)));
        let failure = Failure::from(status);
        assert_eq!(failure.code(), 5);
        assert!(failure.to_string().contains("start it with `rollcall up`"), "{failure}");
    }

    #[test]
    fn a_refusal_says_what_to_do_next() {
        let failure = Failure::from(Status::unauthenticated("the credential is not valid"));
        assert!(
            failure.to_string().starts_with("the credential is not valid: give the operator credential"),
            "{failure}"
        );
    }
}
