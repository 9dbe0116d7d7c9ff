# Perl: processes, pipes, signals, sorting, patterns.
use strict;
use warnings;
$| = 1;
my %count;
$count{length $_}++ for map { 'x' x ($_ % 37) } 1 .. 20000;
print join(' ', map { "$_:$count{$_}" } sort { $a <=> $b } keys %count), "\n";
my $text = join ',', map { "name$_=value$_" } 1 .. 2000;
my %parsed = $text =~ /(\w+)=(\w+)/g;
print scalar(keys %parsed), " parsed\n";
open my $pipe, '-|', 'sort -r | head -n 2' or die;
print while <$pipe>;
close $pipe;
open my $sorted, '|-', 'sort -n' or die;
print $sorted "$_\n" for 10, 9, 11;
close $sorted;
my $pid = fork // die;
if ($pid == 0) { my @list = (1) x 10000; exit 3 }
waitpid $pid, 0;
print 'child ', $? >> 8, "\n";
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; select undef, undef, undef, 5; alarm 0 };
print "caught $@";
print 'system ', system('sh', '-c', 'exit 4') >> 8, "\n";
print `echo from backticks`;
exit 2;
