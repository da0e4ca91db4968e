package clickhouse

import "strings"

// The errors of a server that are told apart. Their full names are in
// native.CodeName.
const (
	codeCannotParseText        = 6
	codeThereIsNoColumn        = 8
	codeNotFoundColumnInBlock  = 10
	codeNoSuchColumnInTable    = 16
	codeNumberOfColumnsDiffers = 20
	codeCannotParseQuoted      = 26
	codeCannotParseInput       = 27
	codeBadArguments           = 36
	codeCannotParseDate        = 38
	codeCannotParseDateTime    = 41
	codeIllegalColumn          = 44
	codeUnknownFunction        = 46
	codeUnknownIdentifier      = 47
	codeUnknownType            = 50
	codeTypeMismatch           = 53
	codeTableExists            = 57
	codeUnknownTable           = 60
	codeSyntax                 = 62
	codeOutOfBound             = 69
	codeCannotConvertType      = 70
	codeCannotParseNumber      = 72
	codeUnknownDatabase        = 81
	codeDatabaseExists         = 82
	codeUnknownSetting         = 115
	codeIncorrectData          = 117
	codeCannotReadArray        = 130
	codeTooLargeString         = 131
	codeIllegalDivision        = 153
	codeTimeout                = 159
	codeReadOnlyUser           = 164
	codeArraySizesDiffer       = 190
	codeUnknownUser            = 192
	codeWrongPassword          = 193
	codeRequiredPassword       = 194
	codeAddressNotAllowed      = 195
	codeQuota                  = 201
	codeTooManyAtOnce          = 202
	codeMemory                 = 241
	codeTableReadOnly          = 242
	codeNoSpace                = 243
	codeTooManyParts           = 252
	codeDatabaseAccessDenied   = 291
	codeOutOfRange             = 321
	codeNullInOrdinaryColumn   = 349
	codeCannotParseUUID        = 376
	codeThrowIf                = 395
	codeDecimalOverflow        = 407
	codeCannotCompileRegexp    = 427
	codeCannotParseDomainValue = 441
	codeSettingConstraint      = 452
	codeConstraint             = 469
	codeAccessDenied           = 497
	codeAuthenticationFailed   = 516
	codeCannotParseIPv4        = 675
	codeCannotParseIPv6        = 676
	codeUnknownEnumElement     = 691
	codeUserSessionLimit       = 700
	codeOverloaded             = 745
	codeReadOnlyForGood        = 774
	codeKilled                 = 777
	codeNoMemory               = 778
)

// mend are the errors that people must mend. Their messages hold names only.
func mend(code int32) bool {
	switch code {
	case codeThereIsNoColumn, codeNotFoundColumnInBlock, codeNoSuchColumnInTable, codeNumberOfColumnsDiffers, codeBadArguments,
		codeIllegalColumn, codeUnknownFunction, codeUnknownIdentifier, codeUnknownType, codeTypeMismatch, codeTableExists,
		codeUnknownTable, codeSyntax, codeUnknownDatabase, codeDatabaseExists, codeUnknownSetting, codeReadOnlyUser,
		codeUnknownUser, codeWrongPassword, codeRequiredPassword, codeAddressNotAllowed, codeQuota, codeDatabaseAccessDenied,
		codeSettingConstraint, codeAccessDenied, codeAuthenticationFailed, codeUserSessionLimit, codeReadOnlyForGood:
		return true
	}
	return false
}

// ofValue says whether an error comes of a value, which the sink has laid out as
// its column wants it: so some expression of the table has made something of it.
func ofValue(code int32) bool {
	switch code {
	case codeCannotParseText, codeCannotParseQuoted, codeCannotParseInput, codeBadArguments, codeCannotParseDate,
		codeCannotParseDateTime, codeTypeMismatch, codeOutOfBound, codeCannotConvertType, codeCannotParseNumber,
		codeIncorrectData, codeCannotReadArray, codeTooLargeString, codeIllegalDivision, codeArraySizesDiffer, codeOutOfRange,
		codeNullInOrdinaryColumn, codeCannotParseUUID, codeThrowIf, codeDecimalOverflow, codeCannotCompileRegexp,
		codeCannotParseDomainValue, codeCannotParseIPv4, codeCannotParseIPv6, codeUnknownEnumElement:
		return true
	}
	return false
}

// speaks says whether the message of an error holds names and numbers and no
// values: it may be shown. A syntax error quotes the statement, and a mismatch of
// types the value.
func speaks(code int32) bool {
	switch code {
	case codeTimeout, codeTooManyAtOnce, codeMemory, codeTableReadOnly, codeNoSpace, codeTooManyParts, codeOverloaded,
		codeKilled, codeNoMemory:
		return true
	case codeSyntax, codeTypeMismatch:
		return false
	}
	return mend(code)
}

// tooManyPartitions says whether a batch touches more of the table's partitions
// than an insert may, which is so each time it comes. Its number is that of parts
// that are not merged fast enough.
func tooManyPartitions(code int32, message string) bool {
	return code == codeTooManyParts && strings.Contains(message, "max_partitions_per_insert_block")
}

// advice is what a person can do about an error that comes again.
func advice(code int32, message string) string {
	switch code {
	case codeTooManyParts:
		if tooManyPartitions(code, message) {
			return "; a batch touches more partitions than the server allows: a coarser PARTITION BY, or settings: {max_partitions_per_insert_block: …}"
		}
		return "; merges do not keep up: write fewer and larger batches (batch.age, slots, a coarser PARTITION BY), and look at system.merges"
	case codeMemory, codeKilled, codeNoMemory:
		return "; the server is out of memory: it is tried again; smaller batches (batch.rows, batch.bytes) need less"
	case codeTableReadOnly:
		return "; the table is read-only, as when it has lost its Keeper: it is tried again"
	case codeReadOnlyForGood:
		return "; the table is read-only until somebody changes that (table_readonly, or a disk that cannot be written)"
	case codeOverloaded:
		return "; the server has too much to do: it is tried again"
	case codeNoSpace:
		return "; the server's disk is full: it is tried again"
	case codeQuota:
		return "; the user's quota is used up: it is tried again, and goes on with the next interval"
	case codeTooManyAtOnce:
		return "; the server runs as many queries as it may: it is tried again"
	case codeTimeout:
		return "; the attempt took longer than it may"
	}
	return ""
}
