//! SQLSTATE: the five-character codes that this workspace itself raises or decides by.
//! In: nothing. Out: constants. Never: the text that goes with them. (Manual: appendix "PostgreSQL Error Codes".)

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* #[doc = concat!(" (`", $code, "`)")] pub const $name: &str = $code;)*
        #[cfg(test)]
        const ALL: &[&str] = &[$($code),*];
    };
}

codes! {
    /// No error.
    SUCCESSFUL_COMPLETION = "00000";
    /// A notice without a class of its own.
    WARNING = "01000";
    /// The connection does not exist.
    CONNECTION_DOES_NOT_EXIST = "08003";
    /// A connection that was open broke.
    CONNECTION_FAILURE = "08006";
    /// The peer broke the protocol.
    PROTOCOL_VIOLATION = "08P01";
    /// The outcome of a transaction is not known.
    TRANSACTION_RESOLUTION_UNKNOWN = "08007";
    /// Not supported.
    FEATURE_NOT_SUPPORTED = "0A000";
    /// Bytes that are not text in the encoding they claim.
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    /// A value that a setting or function does not take.
    INVALID_PARAMETER_VALUE = "22023";
    /// Null where none may be.
    NOT_NULL_VIOLATION = "23502";
    /// A unique key would hold twice.
    UNIQUE_VIOLATION = "23505";
    /// A transaction is already open.
    ACTIVE_SQL_TRANSACTION = "25001";
    /// A write where only reads may run.
    READ_ONLY_SQL_TRANSACTION = "25006";
    /// No transaction is open.
    NO_ACTIVE_SQL_TRANSACTION = "25P01";
    /// The transaction has failed; only its end is accepted.
    IN_FAILED_SQL_TRANSACTION = "25P02";
    /// No such prepared statement.
    INVALID_SQL_STATEMENT_NAME = "26000";
    /// The role may not log in this way.
    INVALID_AUTHORIZATION_SPECIFICATION = "28000";
    /// Wrong password, or no such role.
    INVALID_PASSWORD = "28P01";
    /// No such portal.
    INVALID_CURSOR_NAME = "34000";
    /// No such database.
    INVALID_CATALOG_NAME = "3D000";
    /// Run the transaction again.
    SERIALIZATION_FAILURE = "40001";
    /// A deadlock was broken.
    DEADLOCK_DETECTED = "40P01";
    /// The role lacks a right.
    INSUFFICIENT_PRIVILEGE = "42501";
    /// The statement is not SQL.
    SYNTAX_ERROR = "42601";
    /// No such object.
    UNDEFINED_OBJECT = "42704";
    /// No such table.
    UNDEFINED_TABLE = "42P01";
    /// A portal of that name exists.
    DUPLICATE_CURSOR = "42P03";
    /// A prepared statement of that name exists.
    DUPLICATE_PREPARED_STATEMENT = "42P05";
    /// Too many connections.
    TOO_MANY_CONNECTIONS = "53300";
    /// A configured limit was reached.
    CONFIGURATION_LIMIT_EXCEEDED = "53400";
    /// A limit of the program was reached.
    PROGRAM_LIMIT_EXCEEDED = "54000";
    /// The object is in use.
    OBJECT_IN_USE = "55006";
    /// The statement was cancelled.
    QUERY_CANCELED = "57014";
    /// The connection was ended by an administrator.
    ADMIN_SHUTDOWN = "57P01";
    /// The server crashed, or ends all connections because another one did.
    CRASH_SHUTDOWN = "57P02";
    /// The server cannot be reached now.
    CANNOT_CONNECT_NOW = "57P03";
    /// A session was idle in a transaction for too long.
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = "25P03";
    /// A session was idle for too long.
    IDLE_SESSION_TIMEOUT = "57P05";
    /// A fault of the program.
    INTERNAL_ERROR = "XX000";
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_code_has_the_form_of_a_sqlstate_and_stands_once() {
        for code in super::ALL {
            assert_eq!(code.len(), 5, "{code}");
            assert!(code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()), "{code}");
            assert_eq!(super::ALL.iter().filter(|other| other == &code).count(), 1, "{code}");
        }
    }
}
